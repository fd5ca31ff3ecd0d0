"""Policies that ignore the question: always the same arm, or a random one."""

from __future__ import annotations

import numpy as np

from controller import Arm, Context
from lab.policies.rival import Choice, Rival


class Always(Rival):
    """One arm for every question, as long as it is available."""

    def __init__(self, arm: Arm) -> None:
        super().__init__()
        self._arm = arm

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses that arm."""
        return Choice(number, self.nearest_available(self._arm, available))


class ShareMatchedRandom(Rival):
    """A random `share` of the questions to the arm `local`, the others to the arm `cloud`."""

    def __init__(self, local: Arm, cloud: Arm, share: float, *, seed: int) -> None:
        super().__init__()
        self._local, self._cloud, self._share = local, cloud, share
        self._rng = np.random.default_rng((seed, 2))

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Draws the arm."""
        wanted = self._local if self._rng.random() < self._share else self._cloud
        return Choice(number, self.nearest_available(wanted, available))
