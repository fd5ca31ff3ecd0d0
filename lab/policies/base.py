"""What simple policies share: falling back when an arm fails, and learning nothing."""

from __future__ import annotations

from controller.arm import Arm
from controller.context import Context
from controller.outcome import Execution, Outcome
from lab.sim.policy import KEEP, Choice, Next


class Static:
    """A policy that learns nothing; when an arm fails it asks those that are left, the board's first.

    Attributes:
        ranking: arms from the most to the least accurate; in this order they stand in for others.
    """

    def __init__(self) -> None:
        self.ranking: tuple[Arm, ...] = ()
        self._left: dict[int, list[Arm]] = {}

    def decide(self, number: int, context: Context, *, now: float) -> Choice | None:
        """The wanted arm, or if it is blocked the first that is not."""
        able = [option.arm for option in context.options if option.blocked is None]
        if not able:
            return None
        choice = self.choose(number, context, able)
        self._left[number] = [arm for arm in able if arm != choice.arm]
        return choice

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The arm of `able` to ask first."""
        raise NotImplementedError

    def answered(self, number: int, run: Execution, *, now: float) -> Next:
        """Kept."""
        return KEEP

    def failed(self, number: int, run: Execution, *, now: float) -> Arm | None:
        """One of those that are left, the board's best first."""
        left = [arm for arm in self._left[number] if arm != run.arm]
        left.sort(key=lambda arm: (arm.tier != "local", self._rank(arm)))
        self._left[number] = left[1:]
        return left[0] if left else None

    def learn(self, number: int, outcome: Outcome, *, now: float) -> int:
        """Nothing."""
        self._left.pop(number, None)
        return 0

    def tell(self, number: int, correct: bool, *, now: float) -> None:
        """Nothing."""

    def preferred(self, wanted: Arm, able: list[Arm]) -> Arm:
        """`wanted` if it can be asked; else the best of its tier, else the best."""
        if wanted in able:
            return wanted
        return min(able, key=lambda arm: (arm.tier != wanted.tier, self._rank(arm)))

    def _rank(self, arm: Arm) -> int:
        return self.ranking.index(arm) if arm in self.ranking else len(self.ranking)
