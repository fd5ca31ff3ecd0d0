"""How long a policy takes to think."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Speed:
    """Medians over blocks of deciding, escalation included, and of learning.

    In microseconds of CPU time a question.
    """

    policy: str
    decide_us: float
    learn_us: float

    @property
    def total_us(self) -> float:
        """Both."""
        return self.decide_us + self.learn_us
