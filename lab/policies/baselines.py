"""Policies that look at nothing: one arm always, or a coin."""

from __future__ import annotations

import numpy as np

from controller import Arm, Context
from lab.policies.rival import Choice, Static


class Always(Static):
    """One arm for every question, while it can be asked."""

    def __init__(self, arm: Arm) -> None:
        super().__init__()
        self._arm = arm

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The arm."""
        return Choice(number, self.preferred(self._arm, able))


class ShareMatchedRandom(Static):
    """A share of the questions to one arm of the board, by a coin, the others to the cloud's best."""

    def __init__(self, local: Arm, cloud: Arm, share: float, *, seed: int) -> None:
        super().__init__()
        self._local, self._cloud, self._share = local, cloud, share
        self._rng = np.random.default_rng((seed, 2))

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """By the coin."""
        return Choice(
            number, self.preferred(self._local if self._rng.random() < self._share else self._cloud, able)
        )
