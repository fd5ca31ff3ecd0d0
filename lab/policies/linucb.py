"""LinUCB (Li et al. 2010) with disjoint models, optionally discounted (Russac et al. 2019)."""

from __future__ import annotations

import numpy as np

from lab.policies.bandit import Bandit, Truth
from lab.policies.prices import Prices
from lab.sim.dataset import Dataset, Matrix

ALPHA = 0.3
RIDGE = 1.0


class LinUCB(Bandit):
    """Maximises the upper confidence bound of a ridge regression of "right" per arm, minus knob * price.

    Args:
        discount: share of the evidence that is kept from one observation to the next; 1 forgets nothing.
    """

    def __init__(
        self,
        tuning: Dataset,
        truth: Truth,
        prices: Prices,
        knob: float,
        *,
        discount: float,
        alpha: float = ALPHA,
    ) -> None:
        super().__init__(tuning, truth, prices, knob)
        arms, size = len(self.arms), tuning.matrix.shape[1] + 1
        self._discount, self._alpha = discount, alpha
        self._local = tuning.best_column("local")
        self._precision = np.repeat(RIDGE * np.eye(size)[None], arms, axis=0)
        self._moment = np.zeros((arms, size))
        self._inverse = np.repeat(np.eye(size)[None] / RIDGE, arms, axis=0)
        self._theta = np.zeros((arms, size))

    def pick(self, number: int, x: Matrix, available: list[int]) -> tuple[int, float | None]:
        """Picks the arm with the greatest upper bound minus price."""
        mean = self._theta @ x
        width = np.sqrt(np.maximum(0.0, (self._inverse @ x) @ x))
        values = mean + self._alpha * width - self.knob * self.prices.now
        return max(available, key=lambda column: float(values[column])), 1.0 - float(mean[self._local])

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """Updates the regression of the arm that ran."""
        g = self._discount
        precision = self._precision[column]
        precision *= g
        precision += np.outer(x, x)
        precision[np.diag_indices_from(precision)] += (1.0 - g) * RIDGE
        self._moment[column] = g * self._moment[column] + right * x
        self._inverse[column] = np.linalg.inv(precision)
        self._theta[column] = self._inverse[column] @ self._moment[column]
