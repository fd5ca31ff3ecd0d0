"""Sensors that report the same value, and do not agree on it.

1. A value of a sensor is compared with that of the sensor whose value is used, at most once every CHECK_S.
2. They disagree if one is more than RATIO times the other in IN_A_ROW comparisons, and agree again if that is
   so in none of IN_A_ROW. One comparison says little: the values are not of the same moment.
3. While they disagree the careful value is used: the higher power and temperature, the lower charge and
   memory.

Loads and clocks are not compared: they change within a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CHECK_S = 10.0
RATIO = 1.5
IN_A_ROW = 3
CAREFUL: Mapping[str, Callable[[float, float], float]] = {
    "power_w": max,
    "temps_c": max,
    "battery_pct": min,
    "memory_available_mb": min,
}
MEASURES_LESS = {("rapl", "power_w")}  # of the processor only, not of the board


@dataclass
class Disagreement:
    """The comparisons of one value between the sensor that is best and another one.

    Attributes:
        values: the latest values of both, by sensor.
        used: the sensor whose value is used; None while they agree.
    """

    best: str
    other: str
    values: dict[str, float] = field(default_factory=dict)
    used: str | None = None
    compared_at: float | None = None
    in_a_row: int = 0

    def compare(self, name: str, best: Any, other: Any, now: float) -> bool:
        """Compares two values of the reading `name`; returns whether `used` changed."""
        if self.compared_at is not None and now - self.compared_at < CHECK_S:
            return False
        low, high = sorted((size(best), size(other)))
        if low < 0 or high <= 0:
            return False
        self.compared_at = now
        self.values = {self.best: size(best), self.other: size(other)}
        differ = high > RATIO * low
        self.in_a_row = self.in_a_row + 1 if differ != (self.used is not None) else 0
        if self.in_a_row < IN_A_ROW:
            return False
        self.in_a_row = 0
        careful = CAREFUL[name](size(best), size(other))
        self.used = (self.best if careful == size(best) else self.other) if differ else None
        return True


def size(value: Any) -> float:
    """Returns the number that is compared: of several temperatures the highest."""
    return max(value.values()) if isinstance(value, Mapping) else float(value)
