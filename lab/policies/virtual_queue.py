"""MESS+-like (arXiv 2505.19947): least cost, with a virtual queue that holds an accuracy.

Each arm's chance to be right is a logistic regression learned by stochastic gradient. An arm minimises
V * price + Q * (alpha - chance); the queue Q grows by alpha - right with each answer, and stays at least 0.
With a chance that falls as the cube root of the number of questions, an arm is drawn to explore; where the
original then asks all models, this one asks one, and is charged for one.
"""

from __future__ import annotations

import numpy as np

from lab.policies.bandit import Bandit, Truth
from lab.policies.prices import Prices
from lab.sim.dataset import Dataset, Matrix

EXPLORE = 1.0
STEP = 0.3
PATIENCE = 20.0  # V: what a unit of price weighs against the queue


class VirtualQueue(Bandit):
    """Args are those of `Bandit`; the knob is alpha, the accuracy to hold."""

    def __init__(self, tuning: Dataset, truth: Truth, prices: Prices, knob: float, *, seed: int) -> None:
        super().__init__(tuning, truth, prices, knob)
        self._rng = np.random.default_rng((seed, 4))
        self._weights = np.zeros((len(self.arms), tuning.matrix.shape[1] + 1))
        self._local = tuning.best("local")
        self._squares = np.full_like(self._weights, 1.0)
        self._queue, self._count = 0.0, 0

    def pick(self, number: int, x: Matrix, able: list[int]) -> tuple[int, float | None]:
        """By drift plus penalty."""
        self._count += 1
        chance = 1.0 / (1.0 + np.exp(-(self._weights @ x)))
        risk = 1.0 - float(chance[self._local])
        if self._rng.random() < min(1.0, EXPLORE / self._count ** (1 / 3)):
            return able[int(self._rng.integers(len(able)))], risk
        values = PATIENCE * self.prices.now + self._queue * (self.knob - chance)
        return min(able, key=lambda column: float(values[column])), risk

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """One gradient step (AdaGrad) for the arm that ran, and the queue."""
        chance = 1.0 / (1.0 + np.exp(-float(self._weights[column] @ x)))
        gradient = (chance - right) * x
        self._squares[column] += gradient * gradient
        self._weights[column] -= STEP * gradient / np.sqrt(self._squares[column])
        self._queue = max(0.0, self._queue + self.knob - right)
