"""What the contextual bandits share.

They are told of every answer at once whether it was right: a favour that the controller, told late and of a
tenth, does not get. Their prices follow what they observe.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from controller import Arm, Context, DriftEvent, Outcome
from lab.policies.prices import Prices
from lab.policies.rival import Choice, Static
from lab.sim.dataset import Dataset, Matrix

Truth = Callable[[int, int], bool]  # whether an arm's answer to a question is right


class Bandit(Static):
    """Chooses among all arms by features; subclasses pick and learn.

    Args:
        truth: tells of the answer given, and of no other.
        prices: of the arms at rest.
        knob: what a unit of price is worth in right answers.
        tuning: standardises the features.
    """

    def __init__(self, tuning: Dataset, truth: Truth, prices: Prices, knob: float) -> None:
        super().__init__()
        self.arms = tuning.arms
        self.columns = {arm: column for column, arm in enumerate(tuning.arms)}
        self.prices, self.knob = prices, knob
        self._truth = truth
        matrix = tuning.matrix
        self._mean, self._deviation = matrix.mean(axis=0), matrix.std(axis=0)
        self._deviation[self._deviation < 1e-6] = 1.0
        self._asked: dict[int, Matrix] = {}

    def features(self, context: Context) -> Matrix:
        """A leading 1, then the standardised signals over the root of their number."""
        z = (context.signals.vector() - self._mean) / self._deviation
        return np.concatenate(([1.0], z.clip(-3, 3) / np.sqrt(len(z))))

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """As the subclass picks."""
        x = self._asked[number] = self.features(context)
        column, risk = self.pick(number, x, [self.columns[arm] for arm in able])
        return Choice(number, self.arms[column], risk)

    def learn(self, decision: Choice, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """The truth about the answer that was given, and what it cost."""
        super().learn(decision, outcome, now=now)
        number = decision.number
        x = self._asked.pop(number)
        for place, run in enumerate(outcome.executions):
            column = self.columns[run.arm]
            cost = self.prices.learn(column, run)
            right = place == outcome.answered and self._truth(number, column)
            self.observe(number, x, column, right, cost)
        return ()

    def pick(self, number: int, x: Matrix, able: list[int]) -> tuple[int, float | None]:
        """The column to ask, and the risk that the board errs."""
        raise NotImplementedError

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """Learn from one run."""
        raise NotImplementedError
