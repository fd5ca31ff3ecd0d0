"""The inputs from which a policy is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from controller import Arm
from lab.policies.prices import Prices, idle_prices
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix
from lab.sim.workload import Workload

T = TypeVar("T")


@dataclass(frozen=True)
class PolicyInputs:
    """What a policy may be made from: the tuning half, and only for an oracle the workload's future.

    Attributes:
        knob: the policy's parameter that trades cost for accuracy.
        fit_cache: models that were fitted to the tuning half, by name; shared between replays.
    """

    tuning: Dataset
    profile: CostProfile
    workload: Workload
    seed: int
    knob: float
    fit_cache: dict[str, object] = field(default_factory=dict)

    @property
    def edge(self) -> Arm:
        """The board's most accurate arm on the tuning half."""
        return self.tuning.arms[self.tuning.best_column("local")]

    @property
    def cloud(self) -> Arm:
        """The cloud's most accurate arm on the tuning half: the reference."""
        return self.tuning.arms[self.tuning.best_column("cloud")]

    @property
    def ranking(self) -> tuple[Arm, ...]:
        """All arms, from the most to the least accurate on the tuning half."""
        right = self.tuning.correct.mean(axis=0)
        return tuple(self.tuning.arms[column] for column in np.argsort(-right, kind="stable"))

    @property
    def signals(self) -> Matrix:
        """The signals of the workload's questions, shape (questions, features)."""
        return self.workload.dataset.matrix[self.workload.rows]

    @property
    def idle_prices(self) -> Matrix:
        """The price of each arm on idle machines."""
        return self.fit_once("prices", lambda: idle_prices(self.tuning, self.profile))

    @property
    def prices(self) -> Prices:
        """New prices that start at the idle prices and follow the observed costs."""
        return Prices(self.idle_prices, self.profile)

    def truth(self, number: int, column: int) -> bool:
        """Returns the feedback of online rivals: whether an arm's answer is right, as it is reported."""
        return self.workload.reported(number, column)

    def fit_once(self, name: str, fit: Callable[[], T]) -> T:
        """Returns the cached result of `fit`, which is called only the first time."""
        if name not in self.fit_cache:
            self.fit_cache[name] = fit()
        found: T = self.fit_cache[name]  # type: ignore[assignment]  # the name fixes the type
        return found
