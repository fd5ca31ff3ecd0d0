"""Vowpal Wabbit's contextual bandit with action-dependent features (cb_explore_adf, SquareCB)."""

from __future__ import annotations

import numpy as np
from vowpalwabbit import Workspace

from lab.policies.bandit import Bandit, Truth
from lab.policies.prices import Prices
from lab.sim.dataset import Dataset, Matrix

OPTIONS = "--cb_explore_adf --squarecb --gamma_scale 100 --cb_type mtr -q sa --quiet --random_seed 1"


class Vowpal(Bandit):
    """Its loss is (wrong + knob * cost), divided by the maximum."""

    def __init__(self, tuning: Dataset, truth: Truth, prices: Prices, knob: float, *, seed: int) -> None:
        super().__init__(tuning, truth, prices, knob)
        self._rng = np.random.default_rng((seed, 3))
        self._workspace = Workspace(OPTIONS)
        self._scale = 1.0 + knob * float(prices.now.max())
        self._picked: dict[int, tuple[list[int], dict[int, float]]] = {}

    def pick(self, number: int, x: Matrix, available: list[int]) -> tuple[int, float | None]:
        """Draws an arm by the predicted probabilities."""
        probabilities = np.array(self._workspace.predict(self._example(x, available)))
        probabilities /= probabilities.sum()
        place = int(self._rng.choice(len(available), p=probabilities))
        self._picked[number] = available, dict(zip(available, probabilities.tolist(), strict=True))
        return available[place], None

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """Learns the loss of the arm that was drawn."""
        available, probabilities = self._picked.pop(number, ([], {}))
        if column not in probabilities:
            return
        loss = (1.0 - right + self.knob * cost) / self._scale
        lines = self._example(x, available)
        place = available.index(column)
        lines[place + 1] = f"{place}:{loss:.5f}:{max(1e-3, probabilities[column]):.5f} {lines[place + 1]}"
        self._workspace.learn(lines)

    def _example(self, x: Matrix, available: list[int]) -> list[str]:
        shared = " ".join(f"{place}:{value:.4f}" for place, value in enumerate(x) if value)
        return [f"shared |s {shared}", *(f"|a arm{column}" for column in available)]
