"""The energy of local answers above idle, from the processor's energy counters (RAPL)."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.sensing.rapl import Rapl
from lab.errors import BenchError


class EnergyMeter:
    """Measures the energy between `start` and `stop`.

    Args:
        idle_w: power of the idle machine, which is subtracted.
        clock: the monotonic clock of `rapl`, in seconds.
    """

    def __init__(self, rapl: Rapl, idle_w: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rapl = rapl
        self._idle_w = idle_w
        self._clock = clock
        self._started_s = 0.0

    @classmethod
    def calibrated(cls, rapl: Rapl, idle_s: float = 5.0) -> EnergyMeter:
        """Measures the idle power for `idle_s` seconds first. Raises SensorAbsent, SensorFault."""
        rapl.sample()
        time.sleep(idle_s)
        return cls(rapl, _power_w(rapl))

    def start(self) -> None:
        """Starts a measurement."""
        self._rapl.sample()
        self._started_s = self._clock()

    def stop(self) -> float:
        """Returns the energy above idle since `start`, in joules; at least 0."""
        power_w = _power_w(self._rapl)
        return max(0.0, (power_w - self._idle_w) * (self._clock() - self._started_s))


def _power_w(rapl: Rapl) -> float:
    power_w = rapl.sample().power_w
    if power_w is None:
        raise BenchError("the energy counters gave no reading; omit --measure-energy to model the energy")
    return power_w
