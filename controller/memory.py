"""What is remembered of a question until it is learned from, and for truth that comes late."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from controller.beliefs import Vector
from controller.confidence import Judgement
from controller.decision import Decision
from controller.looks import Looks

CAPACITY: Final = 2000


@dataclass
class Episode:
    """One question.

    Attributes:
        looks: names under which it may be met again.
        differ: how likely the board's answer differs from the cloud's, as far as is known.
        standard: skill of the reference when it was decided; empty where there was none.
        skill: whose answer was judged; None when only the reference answered.
        audit: propensity of an audit of the kept answer; 0 when none could be drawn.
        compared: both answers are known, so `differ` is what their comparison found.
        witnessed: not the reference but another cloud arm answered too, and `differ` is what that tells.
        own: whether the judged answer was sent out; None until the outcome is learned.
        truth: whether the answer that was sent out was right, if feedback came first.
        truth_weight: how far that is believed.
    """

    x: Vector
    looks: Looks
    differ: float
    standard: str
    skill: str | None = None
    judgement: Judgement | None = None
    audit: float = 0.0
    compared: bool = False
    witnessed: bool = False
    own: bool | None = None
    truth: bool | None = None
    truth_weight: float = 1.0

    @classmethod
    def of(cls, decision: Decision) -> Episode:
        """An episode of which nothing but the decision is known."""
        candidates = decision.basis.candidates
        differ = min(candidates.guesses.differ[candidates.roster.local].tolist(), default=0.5)
        return cls(decision.basis.x, candidates.looks, differ, candidates.roster.standard)

    def judged(self, skill: str, judgement: Judgement, audit: float) -> None:
        """Take in what the answer of a skill was held for."""
        self.skill, self.judgement, self.differ, self.audit = skill, judgement, judgement.differ, audit


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

    def forget(self, decision_id: str) -> None:
        """Remember it no longer."""
        self._held.pop(decision_id, None)
