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

from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.readings import Reading, Readings
from agent.sensing.sample import Sample, SensorAbsent, SensorFault, Source
from controller.context import DeviceState

log = logging.getLogger(__name__)

SLOWEST_S = 10.0
ABSENT_S = 60.0
FAULT_S = 10.0


@dataclass(frozen=True)
class Paced:
    """A source and the seconds between its samples.

    Attributes:
        resolution_s: the least time about which its power says something; None for `every_s`.
    """

    source: Source
    every_s: float
    resolution_s: float | None = None


@dataclass
class _Watch:
    """One source's loop: `wake` has it sample at once, `sampled` tells of its next sample."""

    paced: Paced
    wake: anyio.Event = field(default_factory=anyio.Event)
    sampled: anyio.Event = field(default_factory=anyio.Event)


class Sensing:
    """Keeps the latest readings of all sources; what none of them tells is None.

    Args:
        sources: the best first.
        meter: told of each sample of the board's power, as it came, of the source that leads.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        sources: Sequence[Paced],
        *,
        smoothing_s: float,
        meter: EnergyMeter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watches = {paced.source.name: _Watch(paced) for paced in sources}
        self._running = False
        self._readings = Readings([paced.source.name for paced in sources], smoothing_s=smoothing_s)
        self._meter = meter
        self._clock = clock
        self.faults: dict[str, str] = {}

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
                watch.paced.source.close()

    async def sample(self, paced: Paced) -> float:
        """Sample one source once; seconds until it is to be sampled again."""
        source = paced.source
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

    def _take(self, paced: Paced, sample: Sample) -> None:
        now = self._clock()
        self._readings.take(paced.source.name, sample, now=now, every_s=paced.every_s)
        leading = self._readings.get("power_w", now)
        ours = leading is not None and leading.source == paced.source.name
        if self._meter is not None and sample.power_w is not None and ours:
            self._meter.observe(now, sample.power_w)

    def _fault(self, name: str, message: str) -> None:
        if self.faults.get(name) != message:
            log.warning("sensor %s: %s", name, message)
        self.faults[name] = message
