"""How likely a skill's answer differs from the cloud's, told before it has run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from controller import snapshot
from controller.arm import Arm
from controller.beliefs import Beliefs, Vector
from controller.errors import SnapshotError
from controller.logistic import averaged, learn_label, logit, sigmoid
from controller.settings import ControllerSettings
from controller.signals import FEATURES

# What is known to make small models fail, in logits; labels soon say it better.
LEANINGS: Final = {
    "blur": 0.5,
    "darkness": 0.3,
    "noise": 0.5,
    "clauses": 0.5,
    "count": 0.5,
    "compare": 0.5,
    "spatial": 0.4,
    "read": 0.5,
    "yes_no": -0.5,
    "colour": -0.3,
}
TYPICAL: Final = {"blur": 0.4, "darkness": 0.3, "noise": 0.2, "clauses": 0.2, "yes_no": 0.3}
TYPICAL_FLAG: Final = 0.2
BIAS_DEVIATION: Final = 0.8
WEIGHT_DEVIATION: Final = 0.8
PRIOR_MEAN: Final = np.array([0.0, *(LEANINGS.get(name, 0.0) for name in FEATURES)])
PRIOR_TYPICAL: Final = sum(LEANINGS[name] * TYPICAL.get(name, TYPICAL_FLAG) for name in LEANINGS)
PRIOR_VARIANCE: Final = np.array([BIAS_DEVIATION**2, *(WEIGHT_DEVIATION**2 for _ in FEATURES)])


class Guess(NamedTuple):
    """What the signals alone tell of a skill.

    Attributes:
        differ: probability that its answer will differ from the cloud's.
        ignorance: how uncertain its logit still is, as a share of the prior's variance.
    """

    differ: float
    ignorance: float


class Quality:
    """Discounted Bayesian logistic regression of "differs from the reference" on the signals, by skill."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._beliefs = Beliefs(len(PRIOR_MEAN), settings.forgetting.quality)

    def guess(self, arms: Sequence[Arm], reference: Arm | None, x: Vector) -> list[Guess]:
        """What to expect of `arms`, in their order, at features `x`; the reference never differs."""
        names = [arm.skill for arm in arms]
        for arm, name in zip(arms, names, strict=True):
            if name not in self._beliefs:
                self._beliefs.add(name, *first_belief(arm, reference, self._settings), keep=names)
        means, variances = self._beliefs.means(x), self._beliefs.variances(x)
        prior_variance = float(PRIOR_VARIANCE @ (x * x)) / self._settings.learning.prior_strength
        skill = reference.skill if reference is not None else None
        return [
            Guess(0.0, 0.0)
            if name == skill
            else Guess(sigmoid(averaged(means[row], variances[row])), variances[row] / prior_variance)
            for name, row in zip(names, self._beliefs.rows(names), strict=True)
        ]

    def learn(self, skill: str, x: Vector, differed: float, weight: float) -> None:
        """Take in whether (or how likely) an answer differed."""
        if skill in self._beliefs:
            learn_label(self._beliefs, skill, x, differed, weight)

    def widen(self, skill: str, share: float) -> None:
        """Mix a share of the first uncertainty back into what is held of a skill."""
        if skill in self._beliefs:
            self._beliefs.widen(skill, share)

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {"features": list(FEATURES), "beliefs": self._beliefs.snapshot()}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError; to be called on a new object."""
        if snapshot.part(held, "features") != list(FEATURES):
            raise SnapshotError("the snapshot was learned from other signals")
        self._beliefs.restore(snapshot.part(held, "beliefs"))


def first_belief(arm: Arm, reference: Arm | None, settings: ControllerSettings) -> tuple[Vector, Vector]:
    """Mean and variance of the weights before any label, from the priors of the two arms' accuracy."""
    learning = settings.learning
    best = settings.cloud_prior if reference is None else settings.prior(reference)
    loss = max(0.0, best.quality - settings.prior(arm).quality)
    differ = loss / max(0.1, learning.cloud_right - learning.board_right)
    mean = PRIOR_MEAN.copy()
    mean[0] = logit(min(0.9, max(0.03, differ))) - PRIOR_TYPICAL
    return mean, PRIOR_VARIANCE / learning.prior_strength


def features(signals: Vector) -> Vector:
    """The signals with a leading 1, shape (1 + len(FEATURES),)."""
    return np.concatenate(([1.0], signals))
