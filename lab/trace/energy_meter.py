"""What local answers cost above idle, read from the processor's own energy counters."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.sensing.rapl import Rapl
from lab.errors import BenchError


class Meter:
    """Measures one piece of work after another.

    Args:
        idle_w: power while nothing runs, which is taken off.
        clock: seconds, monotonic; that of `rapl`.
    """

    def __init__(self, rapl: Rapl, idle_w: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rapl = rapl
        self._idle_w = idle_w
        self._clock = clock
        self._began_s = 0.0

    @classmethod
    def settled(cls, rapl: Rapl, quiet_s: float = 5.0) -> Meter:
        """One that has watched the idle machine for `quiet_s` seconds. Raises SensorAbsent, SensorFault."""
        rapl.sample()
        time.sleep(quiet_s)
        return cls(rapl, _power_w(rapl))

    def begin(self) -> None:
        """Work begins."""
        self._rapl.sample()
        self._began_s = self._clock()

    def end(self) -> float:
        """Joules above idle since `begin`, at least 0."""
        power_w = _power_w(self._rapl)
        return max(0.0, (power_w - self._idle_w) * (self._clock() - self._began_s))


def _power_w(rapl: Rapl) -> float:
    power_w = rapl.sample().power_w
    if power_w is None:
        raise BenchError("the energy counters told nothing; leave --measure-energy out to model the energy")
    return power_w
