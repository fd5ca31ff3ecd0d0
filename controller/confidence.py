"""How likely an answer differs from the cloud's, told from how sure its model was of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from controller import snapshot
from controller.arm import Arm
from controller.beliefs import Beliefs, Vector
from controller.isotonic import Isotonic
from controller.logistic import KIN, averaged, centre, learn_with_kin, logit, sigmoid
from controller.outcome import Confidence
from controller.quality import first_belief
from controller.scales import Scales
from controller.settings import ControllerSettings
from controller.signals import FEATURES as SIGNALS

FEATURES: Final = ("margin", "peak", "likelihood", "length")
# A sure answer (margin 1, likelihood 1) is believed about 2.5 logits better than a guess among two words.
PRIOR_MEAN: Final = np.array((-1.5, -1.5, -1.0, 0.0))
PRIOR_VARIANCE: Final = np.square((1.0, 1.0, 1.0, 0.7))
CENTRE_MARGIN, CENTRE_PEAK, CENTRE_LIKELIHOOD, CENTRE_LENGTH = 0.7, 0.4, 0.75, 0.3
# Of the surest answers few are labelled, and hardly one differs: a weak prior would make them out faultless.
ISOTONIC_STRENGTH: Final = 600.0
SPREAD: Final = 1.5  # deviation of the logits that confidence adds, until it is known
LEAST: Final = 0.005  # no answer is held to be surer than this


@dataclass(frozen=True)
class Judgement:
    """What an answer's confidence tells of it.

    Attributes:
        differ: calibrated probability that it differs from the cloud's answer.
        cautious: the same, `caution` deviations of what is not known yet above.
        score: `differ` before calibration.
        x: the features it was told from.
    """

    differ: float
    cautious: float
    score: float
    x: Vector


class Judge:
    """Discounted Bayesian logistic regression on signals and confidence, then isotonic calibration, by skill.

    It learns from true labels alone, so that the guesses before an answer can learn from it in turn.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._beliefs = Beliefs(len(SIGNALS) + 1 + len(FEATURES), settings.forgetting.quality)
        self._strength = settings.learning.prior_strength
        self._maps: dict[str, Isotonic] = {}
        self._spread = Scales(initial=SPREAD**2, low=0.05, high=9.0)

    def judge(
        self, arm: Arm, reference: Arm | None, x: Vector, confidence: Confidence | None, shift: float = 0.0
    ) -> Judgement:
        """Judge an answer of `arm` to a question with the quality features `x`.

        Args:
            shift: what is known beyond features and confidence, to be added to the calibrated logit.
        """
        skill = arm.skill
        if skill not in self._beliefs:
            mean, variance = first_belief(arm, reference, self._settings)
            self._beliefs.add(
                skill,
                np.concatenate((mean, PRIOR_MEAN)),
                np.concatenate((variance, PRIOR_VARIANCE / self._strength)),
            )
        x = np.concatenate((x, confidence_features(confidence)))
        z, variance_now = self._beliefs.predict(skill, x)
        score = sigmoid(averaged(z, variance_now))
        differ = max(LEAST, sigmoid(logit(self._map(skill)(score)) + shift))
        caution = self._settings.learning.caution * math.sqrt(max(0.0, variance_now))
        return Judgement(differ, sigmoid(logit(differ) + caution), score, x)

    def learn(
        self, skill: str, judgement: Judgement, differed: float, weight: float, *, kin: float = KIN
    ) -> None:
        """Take in whether the judged answer differed; the score it had then keeps the calibration honest."""
        if skill in self._beliefs:
            learn_with_kin(self._beliefs, skill, judgement.x, differed, weight, kin)
            self._map(skill).learn(judgement.score, differed, weight)

    def spreads(self, skills: Sequence[str]) -> Vector:
        """Variance of the logits of `differ` around what the signals told before, shape (skills,)."""
        return self._spread.several(skills)

    def learn_spread(self, skill: str, differ_before: float, differ: float) -> None:
        """Take in how far confidence moved a probability."""
        shift = logit(differ) - centre(differ_before, self._spread[skill])
        self._spread.learn(skill, shift * shift, rate=0.02)

    def widen(self, skill: str, share: float, keep: int) -> None:
        """Mix a share of the first uncertainty back in, and calibrate on the newest labels only."""
        if skill in self._beliefs:
            self._beliefs.widen(skill, share)
            self._map(skill).forget(keep)

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {
            "beliefs": self._beliefs.snapshot(),
            "maps": {skill: held.snapshot() for skill, held in self._maps.items()},
            "spread": self._spread.snapshot(),
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError; to be called on a new object."""
        self._beliefs.restore(snapshot.part(held, "beliefs"))
        self._spread.restore(snapshot.part(held, "spread"))
        for skill, kept in snapshot.table(snapshot.part(held, "maps")).items():
            self._map(skill).restore(kept)

    def _map(self, skill: str) -> Isotonic:
        if skill not in self._maps:
            if len(self._maps) >= 64:
                self._maps.pop(next(iter(self._maps)))
            self._maps[skill] = Isotonic(ISOTONIC_STRENGTH * self._strength)
        return self._maps[skill]


def confidence_features(confidence: Confidence | None) -> Vector:
    """Shape (4,), each about 0 for a typical answer and exactly 0 where the server did not tell.

    `peak` is -log10(1 - margin) / 2, which tells 0.99 from 0.9; `likelihood` the geometric mean of the
    tokens' probabilities.
    """
    margin = peak = likelihood = length = 0.0
    if confidence is not None and confidence.first_token_margin is not None:
        told = min(1.0, max(0.0, confidence.first_token_margin))
        margin = told - CENTRE_MARGIN
        peak = -math.log10(1.0 - told + 0.01) / 2 - CENTRE_PEAK
    if confidence is not None and confidence.mean_logprob is not None:
        likelihood = math.exp(min(0.0, confidence.mean_logprob)) - CENTRE_LIKELIHOOD
    if confidence is not None and confidence.tokens is not None:
        length = min(1.0, math.log1p(max(0, confidence.tokens)) / 4) - CENTRE_LENGTH
    return np.array((margin, peak, likelihood, length))
