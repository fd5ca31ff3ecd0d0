"""The base of the rivals: their decision, and the fallback when an arm fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class Rival:
    """A policy that learns nothing and keeps every answer; subclasses choose the first arm.

    When an arm fails, the remaining ones are asked: the board's first, the most accurate of a tier first.

    """

    def __init__(self) -> None:
        self._ranking: dict[Arm, int] = {}
        self._remaining: dict[int, list[Arm]] = {}

    @property
    def ranking(self) -> tuple[Arm, ...]:
        """The arms that the rival knows, from the most to the least accurate."""
        return tuple(self._ranking)

    @ranking.setter
    def ranking(self, ranked: Sequence[Arm]) -> None:
        self._ranking = {arm: rank for rank, arm in enumerate(ranked)}

    def decide(self, context: Context, *, now: float) -> Choice:
        """Chooses among the arms that are not blocked. Raises NoArm if all are."""
        if not isinstance(context, NumberedContext):
            raise TypeError("a rival decides only on questions of a workload: pass a NumberedContext")
        available = [o.arm for o in context.options if o.blocked is None and self.knows(o.arm)]
        if not available:
            raise NoArm("every arm is blocked or unknown")
        choice = self.choose(context.number, context, available)
        self._remaining[choice.number] = available
        return choice

    def knows(self, arm: Arm) -> bool:
        """Returns whether the arm was in the data that the rival was made from."""
        return not self._ranking or arm in self._ranking

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Returns the arm of `available` to ask first."""
        raise NotImplementedError

    def fallback(self, decision: Choice, failed: Execution, *, now: float) -> Choice | None:
        """Returns the next of the remaining arms; None when there is none."""
        asked = (decision.arm, failed.arm)
        remaining = [arm for arm in self._remaining[decision.number] if arm not in asked]
        remaining.sort(key=lambda arm: (arm.tier != "local", self._rank(arm)))
        self._remaining[decision.number] = remaining[1:]
        return replace(decision, arm=remaining[0]) if remaining else None

    def escalate(self, decision: Choice, execution: Execution, *, now: float) -> FollowUp:
        """Keeps the answer."""
        return KEEP

    def learn(self, decision: Choice, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """Learns nothing."""
        self._remaining.pop(decision.number, None)
        return ()

    def feedback(self, decision_id: str, correct: bool, *, now: float, weight: float = 1.0) -> bool:
        """Ignores feedback."""
        return False

    def nearest_available(self, wanted: Arm, available: list[Arm]) -> Arm:
        """Returns `wanted` if it is available; else the most accurate arm of its tier, else of the other."""
        if wanted in available:
            return wanted
        return min(available, key=lambda arm: (arm.tier != wanted.tier, self._rank(arm)))

    def _rank(self, arm: Arm) -> int:
        return self._ranking.get(arm, len(self._ranking))
