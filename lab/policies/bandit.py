"""The base of the contextual bandits.

For every answer that is sent, they learn immediately whether it was right. This is an advantage: the
controller learns it for a tenth of the answers only, and later. Their prices follow the observed costs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from controller import Arm, Context, DriftEvent, Outcome
from lab.policies.prices import Prices
from lab.policies.rival import Choice, Rival
from lab.sim.dataset import Dataset, Matrix

Truth = Callable[[int, int], bool]
"""(question's number, arm's column) -> whether the arm's answer is right."""


class Bandit(Rival):
    """Chooses among all arms by features of the question; subclasses implement `pick` and `observe`.

    Args:
        tuning: standardises the features.
        truth: called for the answer that was sent only.
        prices: of the arms, starting at those of idle machines.
        knob: value of a unit of price, in right answers.
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
        self._features: dict[int, Matrix] = {}

    def features(self, context: Context) -> Matrix:
        """Returns a leading 1, then the standardised signals divided by the root of their number."""
        z = (context.signals.vector() - self._mean) / self._deviation
        return np.concatenate(([1.0], z.clip(-3, 3) / np.sqrt(len(z))))

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses what the subclass picks."""
        x = self._features[number] = self.features(context)
        column, risk = self.pick(number, x, [self.columns[arm] for arm in available])
        return Choice(number, self.arms[column], risk)

    def learn(self, decision: Choice, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """Learns the cost of everything that ran, and whether the answer that was sent is right."""
        super().learn(decision, outcome, now=now)
        number = decision.number
        x = self._features.pop(number)
        for place, run in enumerate(outcome.executions):
            column = self.columns[run.arm]
            cost = self.prices.learn(column, run)
            right = place == outcome.answered and self._truth(number, column)
            self.observe(number, x, column, right, cost)
        return ()

    def pick(self, number: int, x: Matrix, available: list[int]) -> tuple[int, float | None]:
        """Returns the column to ask, and the risk that the board's answer is wrong."""
        raise NotImplementedError

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """Learns from one execution."""
        raise NotImplementedError
