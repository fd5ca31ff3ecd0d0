"""A measured figure, its yardstick and its goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True)
class Goal:
    """A limit that a figure should reach.

    Attributes:
        of: what is limited: the figure, the figure divided by its yardstick, or the difference of both.
        at_least: whether the limit is a minimum; otherwise it is a maximum.
    """

    of: Literal["value", "ratio", "difference"]
    limit: float
    at_least: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure, measured once in each round.

    Attributes:
        unit: of the figure and of its yardstick.
        rounds: the figure in each round.
        yardstick: what it is compared with; empty for nothing.
        yardstick_rounds: the yardstick in each round.
        estimated: whether the figure is computed from an assumed value and not measured.
    """

    name: str
    unit: str
    rounds: Sequence[float]
    goal: Goal | None = None
    yardstick: str = ""
    yardstick_rounds: Sequence[float] = ()
    estimated: bool = False

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def yardstick_value(self) -> float | None:
        """The median of the yardstick's rounds; None without a yardstick."""
        return median(self.yardstick_rounds) if self.yardstick_rounds else None

    @property
    def ratio(self) -> float | None:
        """The median of figure / yardstick, round by round; None without a yardstick."""
        if not self.yardstick_rounds:
            return None
        return median(one / other for one, other in zip(self.rounds, self.yardstick_rounds, strict=True))

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        found = self.value
        if self.goal.of != "value":
            assert self.ratio is not None, f"{self.name} has no yardstick"
            assert self.yardstick_value is not None
            found = self.ratio if self.goal.of == "ratio" else self.value - self.yardstick_value
        return found >= self.goal.limit if self.goal.at_least else found <= self.goal.limit

    def to_json(self) -> dict[str, Any]:
        """Returns everything, the rounds included."""
        medians = {"value": self.value, "yardstick_value": self.yardstick_value, "ratio": self.ratio}
        return {**asdict(self), **medians, "reached": self.reached}
