"""The loops that read the sensors, each at its own pace.

1. Every source is sampled in a loop of its own, in a thread, and is given up for this time after SLOWEST_S.
2. One that is absent is looked for again after ABSENT_S, since a battery or a monitor may come later; one
   that fails is warned of once, with what to do, and tried again after FAULT_S. Its readings go stale
   meanwhile, and those of the next source that tells the same take their place.
3. A source of which all is told by better ones rests.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
from anyio import to_thread

from agent.profile.profile import Profile
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.readings import Reading, Readings
from agent.sensing.sample import PacedSensor, Sample, SensorAbsent, SensorFault
from agent.sensing.sensors import all_sensors
from controller import DeviceState

log = logging.getLogger(__name__)

SLOWEST_S = 10.0
ABSENT_S = 60.0
FAULT_S = 10.0


@dataclass
class _Watch:
    """One source's loop: `wake` has it sample at once, `sampled` tells of its next sample."""

    paced: PacedSensor
    wake: anyio.Event = field(default_factory=anyio.Event)
    sampled: anyio.Event = field(default_factory=anyio.Event)


class Sensing:
    """Keeps the latest readings of all sensors; what none of them measures is None.

    Args:
        sensors: the best first.
        meter: gets each sample of the board's power, of the source that leads.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        sensors: Sequence[PacedSensor],
        *,
        smoothing_s: float,
        meter: EnergyMeter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watches = {paced.sensor.name: _Watch(paced) for paced in sensors}
        self._running = False
        self._readings = Readings([paced.sensor.name for paced in sensors], smoothing_s=smoothing_s)
        self.energy_meter = meter or EnergyMeter(idle_w=0.0, every_s=math.inf)
        self._clock = clock
        self.faults: dict[str, str] = {}

    @classmethod
    def from_profile(cls, profile: Profile, sensors: Sequence[PacedSensor] | None = None) -> Sensing:
        """All sensors of this machine (or the `sensors` given), sampled as often as the profile says."""
        rates, power = profile.rates, profile.power
        if sensors is None:
            sensors = all_sensors(power_s=rates.power_s, sense_s=rates.sense_s, rails=power.rails)
        meter = EnergyMeter(idle_w=power.idle_w, every_s=rates.power_s)
        return cls(sensors, smoothing_s=rates.smoothing_s, meter=meter)

    @property
    def state(self) -> DeviceState:
        """What the controller is told now."""
        return self._readings.state(self._clock())

    def readings(self) -> dict[str, Reading]:
        """Every reading that stands now, by the name of its field in Sample."""
        return self._readings.all(self._clock())

    def age_s(self, reading: Reading) -> float:
        """Seconds since it was taken."""
        return max(0.0, self._clock() - reading.at)

    def now(self) -> float:
        """Seconds on the clock of the readings."""
        return self._clock()

    def power_resolution_s(self) -> float:
        """The least time about which the power that is told says something; infinite when none is."""
        watch = self._leading()
        if watch is None:
            return math.inf
        paced = watch.paced
        return paced.every_s if paced.resolution_s is None else paced.resolution_s

    async def refresh_power(self) -> None:
        """Have the board's power sampled now, and wait for that."""
        watch = self._leading()
        if watch is not None and self._running:
            watch.wake.set()
            await watch.sampled.wait()

    async def run(self) -> None:
        """Read for ever."""
        try:
            async with anyio.create_task_group() as loops:
                for watch in self._watches.values():
                    loops.start_soon(self._repeat, watch)
                self._running = True
        finally:
            self._running = False
            for watch in self._watches.values():
                watch.paced.sensor.close()

    async def sample(self, paced: PacedSensor) -> float:
        """Sample one source once; seconds until it is to be sampled again."""
        source = paced.sensor
        if self._readings.covers(source.name, self._clock()):
            return paced.every_s
        try:
            with anyio.fail_after(SLOWEST_S):
                sample = await to_thread.run_sync(source.sample, abandon_on_cancel=True)
        except SensorAbsent as error:
            log.debug("%s: %s", source.name, error)
            self.faults.pop(source.name, None)
            return ABSENT_S
        except (SensorFault, TimeoutError) as error:
            self._fault(source.name, str(error) or f"it gives no answer within {SLOWEST_S:.0f} s")
            return FAULT_S
        if self.faults.pop(source.name, None):
            log.info("sensor %s tells again", source.name)
        self._take(paced, sample)
        return paced.every_s

    async def _repeat(self, watch: _Watch) -> None:
        while True:
            watch.wake, started = anyio.Event(), self._clock()
            delay_s = await self.sample(watch.paced)
            sampled, watch.sampled = watch.sampled, anyio.Event()
            sampled.set()
            with anyio.move_on_after(max(0.0, delay_s - (self._clock() - started))):
                await watch.wake.wait()

    def _leading(self) -> _Watch | None:
        leading = self._readings.get("power_w", self._clock())
        return None if leading is None else self._watches[leading.source]

    def _take(self, paced: PacedSensor, sample: Sample) -> None:
        now = self._clock()
        self._readings.take(paced.sensor.name, sample, now=now, every_s=paced.every_s)
        leading = self._readings.get("power_w", now)
        ours = leading is not None and leading.source == paced.sensor.name
        if sample.power_w is not None and ours:
            self.energy_meter.observe(now, sample.power_w)

    def _fault(self, name: str, message: str) -> None:
        if self.faults.get(name) != message:
            log.warning("sensor %s: %s", name, message)
        self.faults[name] = message
