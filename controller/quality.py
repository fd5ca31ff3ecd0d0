"""How likely a skill's answer differs from the cloud's, told before it has run."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from controller import snapshot
from controller.arm import Arm
from controller.beliefs import Beliefs, Vector
from controller.errors import SnapshotError
from controller.logistic import KIN, bounded, learn_with_kin, logit, sigmoids
from controller.roster import Roster
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
ONE: Final = np.ones(1)
BIAS_DEVIATION: Final = 0.8
WEIGHT_DEVIATION: Final = 0.5
WORDING_DEVIATION: Final = 0.3  # many words say nothing
PRIOR_MEAN: Final = np.array([0.0, *(LEANINGS.get(name, 0.0) for name in FEATURES)])
PRIOR_TYPICAL: Final = sum(LEANINGS[name] * TYPICAL.get(name, TYPICAL_FLAG) for name in LEANINGS)
PRIOR_VARIANCE: Final = np.square(
    [
        BIAS_DEVIATION,
        *(WORDING_DEVIATION if name.startswith("wording") else WEIGHT_DEVIATION for name in FEATURES),
    ]
)


class Guesses(NamedTuple):
    """What the signals alone tell of some skills.

    Attributes:
        both: shape (2, arms): `differ`, and below it the same some deviations of what is not known yet above.
        z: their logits, but for arms that cannot differ.
        ignorance: shape (arms,), how uncertain the logit still is, as a share of the prior's variance.
    """

    both: Vector
    z: Vector
    ignorance: Vector

    @property
    def differ(self) -> Vector:
        """Probability that an answer will differ from the cloud's, shape (arms,)."""
        differ: Vector = self.both[0]
        return differ


class Quality:
    """Discounted Bayesian logistic regression of "differs from the reference" on the signals, by skill."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._beliefs = Beliefs(len(PRIOR_MEAN), settings.forgetting.quality)

    def guess(self, roster: Roster, x: Vector, shifts: Vector) -> Guesses:
        """What to expect of the arms at features `x`; the reference never differs.

        Args:
            shifts: what is known beyond the features, to be added to the logits; shape (arms,).
        """
        skills, beliefs = roster.skills, self._beliefs
        for arm, skill in zip(roster.arms, skills, strict=True):
            if skill not in beliefs:
                beliefs.add(skill, *first_belief(arm, roster.reference, self._settings), keep=skills)
        means, variances = beliefs.predictions(x)
        rows = beliefs.rows(skills)
        variance = np.maximum(variances[rows], 0.0)
        z = np.empty((2, len(skills)))
        z[0] = means[rows] / np.sqrt(1.0 + math.pi / 8.0 * variance) + shifts
        z[1] = z[0] + self._settings.learning.caution * np.sqrt(variance)
        z = bounded(z)
        known = self._settings.learning.prior_strength / float(PRIOR_VARIANCE @ (x * x))
        return Guesses(sigmoids(z) * roster.judged, z, variance * known * roster.judged)

    def learn(self, skill: str, x: Vector, differed: float, weight: float, *, kin: float = KIN) -> None:
        """Take in whether (or how likely) an answer differed."""
        if skill in self._beliefs:
            learn_with_kin(self._beliefs, skill, x, differed, weight, kin)

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
    return np.concatenate((ONE, signals))
