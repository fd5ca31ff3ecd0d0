"""What is remembered of a question until it is learned from, and for truth that comes late."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from controller.arm import Tier
from controller.beliefs import Vector
from controller.confidence import Judgement

CAPACITY: Final = 2000


@dataclass
class Episode:
    """One question.

    Attributes:
        skill: whose answer was judged; None when only the reference answered.
        differ: how likely the two answers differ, as far as is known.
        audit: propensity of an audit of the kept answer; 0 when none could be drawn.
        compared: both answers are known, so `differ` is 0 or 1.
        answered: tier of the answer that was sent out.
    """

    x: Vector
    skill: str | None = None
    judgement: Judgement | None = None
    differ: float = 0.5
    audit: float = 0.0
    compared: bool = False
    answered: Tier | None = None


class Memory:
    """The newest episodes by decision id."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Episode] = OrderedDict()

    def keep(self, decision_id: str, episode: Episode) -> None:
        """Remember, at the cost of the oldest."""
        self._held[decision_id] = episode
        if len(self._held) > CAPACITY:
            self._held.popitem(last=False)

    def get(self, decision_id: str) -> Episode | None:
        """What is remembered of a decision."""
        return self._held.get(decision_id)

    def take(self, decision_id: str) -> Episode | None:
        """The same, and forget it."""
        return self._held.pop(decision_id, None)
