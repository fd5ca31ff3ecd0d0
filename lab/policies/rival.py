"""The base of the rivals: their decision, and falling back when an arm fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller import Arm, Context, DriftEvent, Execution, FollowUp, NoArm, Outcome, Prediction
from lab.sim.numbered_context import NumberedContext

KEEP: Final = FollowUp("keep")


@dataclass(frozen=True)
class Choice:
    """A rival's decision on question `number`; satisfies `controller.DecisionLike`."""

    number: int
    arm: Arm
    risk: float | None = None
    propensity: float = 1.0
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    reason: str = ""

    @property
    def id(self) -> str:
        """The question's number."""
        return str(self.number)


class Static:
    """A policy that learns nothing; when an arm fails it asks those that are left, the board's first.

    Attributes:
        ranking: arms from the most to the least accurate; in this order they stand in for others.
    """

    def __init__(self) -> None:
        self.ranking: tuple[Arm, ...] = ()
        self._left: dict[int, list[Arm]] = {}

    def decide(self, context: Context, *, now: float) -> Choice:
        """The wanted arm, or if it is blocked the first that is not. Raises NoArm if all are."""
        if not isinstance(context, NumberedContext):
            raise TypeError("rivals answer only questions of a stream: pass a NumberedContext")
        able = [option.arm for option in context.options if option.blocked is None]
        if not able:
            raise NoArm("every arm is blocked")
        choice = self.choose(context.number, context, able)
        self._left[choice.number] = [arm for arm in able if arm != choice.arm]
        return choice

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The arm of `able` to ask first."""
        raise NotImplementedError

    def fallback(self, decision: Choice, failed: Execution, *, now: float) -> Choice | None:
        """One of those that are left, the board's best first."""
        left = [arm for arm in self._left[decision.number] if arm != failed.arm]
        left.sort(key=lambda arm: (arm.tier != "local", self._rank(arm)))
        self._left[decision.number] = left[1:]
        return replace(decision, arm=left[0]) if left else None

    def escalate(self, decision: Choice, execution: Execution, *, now: float) -> FollowUp:
        """Kept."""
        return KEEP

    def learn(self, decision: Choice, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """Nothing."""
        self._left.pop(decision.number, None)
        return ()

    def feedback(self, decision_id: str, correct: bool, *, now: float) -> bool:
        """Ignored."""
        return False

    def preferred(self, wanted: Arm, able: list[Arm]) -> Arm:
        """`wanted` if it can be asked; else the best of its tier, else the best."""
        if wanted in able:
            return wanted
        return min(able, key=lambda arm: (arm.tier != wanted.tier, self._rank(arm)))

    def _rank(self, arm: Arm) -> int:
        return self.ranking.index(arm) if arm in self.ranking else len(self.ranking)
