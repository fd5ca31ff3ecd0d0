"""What a policy may be made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from controller.arm import Arm
from lab.policies.prices import Prices, prices_at_rest
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix
from lab.sim.workload import Stream

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """The tuning half is known to all; the stream's future only to an oracle.

    Attributes:
        knob: what the policy trades cost for accuracy with.
        fits: what was fitted to the tuning half before, by name; kept between replays.
    """

    tuning: Dataset
    profile: CostProfile
    stream: Stream
    seed: int
    knob: float
    fits: dict[str, object] = field(default_factory=dict)

    @property
    def edge(self) -> Arm:
        """The board's most accurate arm on the tuning half."""
        return self.tuning.arms[self.tuning.best("local")]

    @property
    def cloud(self) -> Arm:
        """The cloud's most accurate arm on the tuning half: the reference."""
        return self.tuning.arms[self.tuning.best("cloud")]

    @property
    def ranking(self) -> tuple[Arm, ...]:
        """All arms, from the most to the least accurate on the tuning half."""
        right = self.tuning.correct.mean(axis=0)
        return tuple(self.tuning.arms[column] for column in np.argsort(-right, kind="stable"))

    @property
    def asked(self) -> Matrix:
        """Signals of the stream's questions by their number."""
        return self.stream.dataset.matrix[self.stream.rows]

    @property
    def at_rest(self) -> Matrix:
        """Price of each arm on idle machines."""
        return self.fitted("prices", lambda: prices_at_rest(self.tuning, self.profile))

    @property
    def prices(self) -> Prices:
        """Prices that follow what is observed, begun at rest."""
        return Prices(self.at_rest, self.profile.weights)

    def truth(self, number: int, column: int) -> bool:
        """Whether an arm's answer to a question is right: for policies that are told so."""
        return self.stream.answer(number, column, self.stream.arrivals[number])[1]

    def fitted(self, name: str, fit: Callable[[], T]) -> T:
        """What `fit` makes of the tuning half, made once."""
        if name not in self.fits:
            self.fits[name] = fit()
        found: T = self.fits[name]  # type: ignore[assignment]  # kept under a name that fixes its type
        return found
