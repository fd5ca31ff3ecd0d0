"""Limits what the judge may use over time."""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """A token bucket that fills with time.

    A cost may be known only afterwards, so a use is allowed while the level is above zero, and the level may
    fall below it.

    Args:
        per_s: units that are added each second.
        capacity: maximum level, and the level at the start.
        clock: returns seconds.
    """

    def __init__(self, per_s: float, capacity: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._capacity = capacity
        self._clock = clock
        self._level = capacity
        self._filled_at = clock()

    def allows(self) -> bool:
        """Returns whether anything may be used now."""
        now = self._clock()
        self._level = min(self._capacity, self._level + self._per_s * (now - self._filled_at))
        self._filled_at = now
        return self._level > 0

    def spend(self, units: float) -> None:
        """Subtracts what was used."""
        self._level -= units
