"""Polls the sensors, each in its own loop.

1. Each sensor is sampled in a thread. One that does not answer within SAMPLE_TIMEOUT_S is faulty; it is not
   asked again before it has answered, so that it never has more than one thread.
2. An absent sensor is tried again after ABSENT_RETRY_S, since a battery or a monitor may appear later. A
   faulty one is logged once, with what to do, and tried again after FAULT_RETRY_S. Meanwhile its readings
   become stale, and the next sensor that reports the same values is used.
3. While better sensors report all of its values, a sensor is sampled only every CHECK_S, to compare them. If
   they disagree, `disagreement.py` says which one is used, and an event is published.
4. A change of the power mode is an event too, and the idle power is measured anew.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from agent.profile.profile import Profile
from agent.sensing.disagreement import CAREFUL, CHECK_S, MEASURES_LESS, Disagreement
from agent.sensing.energy_meter import MAX_GAP_INTERVALS, EnergyMeter
from agent.sensing.plug import Plug
from agent.sensing.readings import Reading, Readings
from agent.sensing.sample import PolledSensor, Sample, SensorAbsent, SensorFault
from agent.sensing.sampler import Sampler
from agent.sensing.sensors import all_sensors
from controller import DeviceState

log = logging.getLogger(__name__)

ReportEvent = Callable[..., None]  # as `Events.publish`
SAMPLE_TIMEOUT_S = 10.0
ABSENT_RETRY_S = 60.0
FAULT_RETRY_S = 10.0


@dataclass
class _Loop:
    """The loop of one sensor. Setting `wake` requests a sample now, `sampled` is set after the next one."""

    polled: PolledSensor
    wake: anyio.Event = field(default_factory=anyio.Event)
    sampled: anyio.Event = field(default_factory=anyio.Event)


class Sensing:
    """Keeps the latest readings of all sensors; a value that no sensor reports is None.

    Attributes:
        energy_meter: receives each sample of the board's power from the best power sensor.
        faults: messages of the faulty sensors, by the sensor's name.

    Args:
        sensors: best first.
        smoothing_s: time constant of loads and power.
        meter: the energy meter; by default one with an idle power of 0.
        idle_w: returns the idle power expected in a power mode.
        report: publishes an event with its details.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        sensors: Sequence[PolledSensor],
        *,
        smoothing_s: float,
        meter: EnergyMeter | None = None,
        idle_w: Callable[[str], float] | None = None,
        report: ReportEvent | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loops = {polled.sensor.name: _Loop(polled) for polled in sensors}
        self._samplers = {polled.sensor.name: Sampler(polled.sensor) for polled in sensors}
        self._running = False
        self._readings = Readings([polled.sensor.name for polled in sensors], smoothing_s=smoothing_s)
        self.energy_meter = meter or EnergyMeter(idle_w=0.0, interval_s=math.inf)
        self._idle_w = idle_w
        self._report = report
        self._clock = clock
        self._sampled_at: dict[str, float] = {}
        self._compared: dict[tuple[str, str], Disagreement] = {}
        self._power_mode: str | None = None
        self.faults: dict[str, str] = {}

    @classmethod
    def from_profile(
        cls,
        profile: Profile,
        sensors: Sequence[PolledSensor] | None = None,
        *,
        plug: Plug | None = None,
        report: ReportEvent | None = None,
    ) -> Sensing:
        """Creates the sensing of this machine, with a plug; `sensors` replaces its own sensors."""
        rates, power = profile.rates, profile.power
        if sensors is None:
            sensors = all_sensors(power_s=rates.power_s, sense_s=rates.sense_s, rails=power.rails, plug=plug)
        interval_s = rates.power_s if plug is None else plug.max_age_s / MAX_GAP_INTERVALS
        meter = EnergyMeter(idle_w=power.idle_w, interval_s=interval_s)
        return cls(
            sensors,
            smoothing_s=rates.smoothing_s,
            meter=meter,
            idle_w=lambda mode: profile.power_in(mode).idle_w,
            report=report,
        )

    @property
    def state(self) -> DeviceState:
        """The present readings, as the controller uses them."""
        return self._readings.state(self._clock())

    @property
    def power_mode(self) -> str | None:
        """The board's present power mode; None if it has none."""
        reading = self._readings.get("power_mode", self._clock())
        return None if reading is None else reading.value

    def readings(self) -> dict[str, Reading]:
        """Returns every reading that is not stale, by the name of its field in Sample."""
        return self._readings.all(self._clock())

    def disagreements(self) -> dict[str, dict[str, Any]]:
        """Returns the values on which sensors disagree: the sensor that is used, and the value of each."""
        return {
            name: {"used": compared.used, "values": dict(compared.values)}
            for (name, _), compared in self._compared.items()
            if compared.used is not None
        }

    def age_s(self, reading: Reading) -> float:
        """Returns the seconds since the reading was sampled."""
        return max(0.0, self._clock() - reading.at)

    def now(self) -> float:
        """Returns the time on the clock of the readings, in seconds."""
        return self._clock()

    def power_resolution_s(self) -> float:
        """Returns the shortest time over which measured power is accurate; infinite without a sensor."""
        loop = self._power_loop()
        if loop is None:
            return math.inf
        resolution_s = loop.polled.resolution_s
        if callable(resolution_s):
            return resolution_s()
        return loop.polled.interval_s if resolution_s is None else resolution_s

    async def refresh_power(self) -> None:
        """Samples the board's power now, and waits for the sample."""
        loop = self._power_loop()
        if loop is not None and self._running:
            loop.wake.set()
            await loop.sampled.wait()

    async def run(self) -> None:
        """Polls the sensors for ever."""
        try:
            async with anyio.create_task_group() as tasks:
                for loop in self._loops.values():
                    tasks.start_soon(self._repeat, loop)
                self._running = True
        finally:
            self._running = False
            for loop in self._loops.values():
                loop.polled.sensor.close()

    async def sample(self, polled: PolledSensor) -> float:
        """Samples one sensor once; returns the seconds until its next sample is due."""
        sensor = polled.sensor
        now = self._clock()
        sampled_s = now - self._sampled_at.get(sensor.name, -math.inf)
        if sampled_s < CHECK_S and self._readings.is_redundant(sensor.name, now):
            return polled.interval_s
        self._sampled_at[sensor.name] = now
        try:
            with anyio.fail_after(SAMPLE_TIMEOUT_S):
                sample = await self._samplers[sensor.name].sample()
        except SensorAbsent as error:
            log.debug("%s: %s", sensor.name, error)
            self.faults.pop(sensor.name, None)
            return ABSENT_RETRY_S
        except (SensorFault, TimeoutError) as error:
            self._fault(
                sensor.name, str(error) or f"it has not answered for {SAMPLE_TIMEOUT_S:.0f} s or more"
            )
            return FAULT_RETRY_S
        if self.faults.pop(sensor.name, None):
            log.info("sensor %s recovered", sensor.name)
        self._store(polled, sample)
        return polled.interval_s

    async def _repeat(self, loop: _Loop) -> None:
        while True:
            loop.wake, started = anyio.Event(), self._clock()
            delay_s = await self.sample(loop.polled)
            sampled, loop.sampled = loop.sampled, anyio.Event()
            sampled.set()
            with anyio.move_on_after(max(0.0, delay_s - (self._clock() - started))):
                await loop.wake.wait()

    def _power_loop(self) -> _Loop | None:
        """The loop of the sensor whose power reading is used."""
        power = self._readings.get("power_w", self._clock())
        return None if power is None else self._loops[power.source]

    def _store(self, polled: PolledSensor, sample: Sample) -> None:
        now = self._clock()
        self._readings.update(
            polled.sensor.name, sample, now=now, interval_s=polled.interval_s, stale_s=polled.stale_s
        )
        self._compare(polled.sensor.name, now)
        self._follow_power_mode(now)
        power = self._readings.get("power_w", now)
        is_power_source = power is not None and power.source == polled.sensor.name
        if sample.power_w is not None and math.isfinite(sample.power_w) and is_power_source:
            self.energy_meter.observe(now, sample.power_w)

    def _compare(self, source: str, now: float) -> None:
        """Compares what a sensor reports with what a better one does."""
        for name in CAREFUL:
            own, best = self._readings.of(source, name, now), self._readings.best(name, now)
            if own is None or best is None or best.source == source or (source, name) in MEASURES_LESS:
                continue
            pair = Disagreement(best.source, source)
            compared = self._compared.setdefault((name, source), pair)
            if compared.best != best.source:
                compared = self._compared[name, source] = pair
            if compared.compare(name, best.value, own.value, now):
                self._readings.prefer(name, compared.used)
                self._report_comparison(name, compared)

    def _report_comparison(self, name: str, compared: Disagreement) -> None:
        values = ", ".join(f"{source} {value:.1f}" for source, value in compared.values.items())
        if compared.used is None:
            message = f"{name}: {values}: they agree again"
        else:
            message = f"{name}: {values}: {compared.used} is used; see which one is right"
        log.warning("sensors disagree: %s", message)
        self._publish("disagreement", reading=name, message=message)

    def _follow_power_mode(self, now: float) -> None:
        reading = self._readings.get("power_mode", now)
        if reading is None or reading.value == self._power_mode:
            return
        before, self._power_mode = self._power_mode, reading.value
        if self._idle_w is not None:
            self.energy_meter.restart_idle(self._idle_w(reading.value))
        if before is not None:
            log.info("the power mode is %s, it was %s", reading.value, before)
            self._publish("power_mode", mode=reading.value, message=f"it was {before}")

    def _publish(self, event: str, **details: str) -> None:
        if self._report is not None:
            self._report(event, **details)

    def _fault(self, name: str, message: str) -> None:
        if self.faults.get(name) != message:
            log.warning("sensor %s: %s", name, message)
        self.faults[name] = message
