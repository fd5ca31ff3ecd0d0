"""MESS+-like (arXiv 2505.19947): minimum cost under an accuracy constraint, by a virtual queue.

For each arm, a logistic regression that is learned by stochastic gradient descent predicts the probability
that its answer is right. The chosen arm minimises V * price + Q * (alpha - probability). After each answer
the queue Q changes by alpha - right, and is never below 0. With a probability that falls as the cube root of
the number of questions, the arm is drawn at random to explore. The original then asks all models; this
implementation asks one, and pays for one.
"""

from __future__ import annotations

import numpy as np

from lab.policies.bandit import Bandit, Truth
from lab.policies.prices import Prices
from lab.sim.dataset import Dataset, Matrix

EXPLORE = 1.0
STEP = 0.3
PRICE_WEIGHT = 20.0  # V: weight of a unit of price against the queue


class VirtualQueue(Bandit):
    """The knob is alpha, the required accuracy; the other arguments are those of `Bandit`."""

    def __init__(self, tuning: Dataset, truth: Truth, prices: Prices, knob: float, *, seed: int) -> None:
        super().__init__(tuning, truth, prices, knob)
        self._rng = np.random.default_rng((seed, 4))
        self._weights = np.zeros((len(self.arms), tuning.matrix.shape[1] + 1))
        self._local = tuning.best_column("local")
        self._squares = np.full_like(self._weights, 1.0)
        self._queue, self._count = 0.0, 0

    def pick(self, number: int, x: Matrix, available: list[int]) -> tuple[int, float | None]:
        """Picks by drift plus penalty."""
        self._count += 1
        probability = 1.0 / (1.0 + np.exp(-(self._weights @ x)))
        risk = 1.0 - float(probability[self._local])
        if self._rng.random() < min(1.0, EXPLORE / self._count ** (1 / 3)):
            return available[int(self._rng.integers(len(available)))], risk
        values = PRICE_WEIGHT * self.prices.now + self._queue * (self.knob - probability)
        return min(available, key=lambda column: float(values[column])), risk

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """Makes one gradient step (AdaGrad) for the arm that ran, and updates the queue."""
        probability = 1.0 / (1.0 + np.exp(-float(self._weights[column] @ x)))
        gradient = (probability - right) * x
        self._squares[column] += gradient * gradient
        self._weights[column] -= STEP * gradient / np.sqrt(self._squares[column])
        self._queue = max(0.0, self._queue + self.knob - right)
