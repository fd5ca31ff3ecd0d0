"""Corrects the probability that two answers say the same to the answers of the models in use.

1. Each task has a Platt scaling (Platt 1999): p' = sigmoid(slope * logit(p) + shift). It starts as the
   identity, with a Gaussian prior, and is updated by one step of Fisher scoring for each label (as in the
   online Laplace approximation of Spiegelhalter and Lauritzen 1990).
2. A judgement is a label.
3. Feedback says whether the answer that was sent is correct, not whether two answers say the same. So its
   label is P(same | correct or not) by Bayes' rule, and its information is less by what it leaves open.
   P(correct | same) and P(correct | different) are counted where the comparison is sure.
"""

from __future__ import annotations

import math
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from agent.agreement.agreement import SURE_DIFFERENT, SURE_SAME, Agreement
from agent.agreement.task import Task
from controller import Tier

PRIOR_SLOPE_VARIANCE, PRIOR_SHIFT_VARIANCE = 0.25, 1.0
MIN_P: Final = 0.01
MIN_INFORMATION: Final = 0.02  # bounds the step where the corrected probability is extreme
MEMORY: Final = 1000.0  # answers with feedback, after which older ones lose weight
CORRECTED: Final = frozenset({"choice", "polarity", "number", "words"})


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, extra="forbid")


class PlattScaling(_Part):
    """A correction of probabilities, with the covariance of its two parameters."""

    slope: float = 1.0
    shift: float = 0.0
    slope_variance: float = Field(PRIOR_SLOPE_VARIANCE, ge=0)
    covariance: float = 0.0
    shift_variance: float = Field(PRIOR_SHIFT_VARIANCE, ge=0)

    def __call__(self, p: float) -> float:
        """Returns the corrected probability."""
        return 1 / (1 + math.exp(-self.slope * _logit(p) - self.shift))

    def learn(self, p: float, label: float, information: float) -> None:
        """Learns that the probability `p` should have been `label`, in [0, 1].

        Args:
            information: Fisher information of the label about the log-odds of the corrected probability.
        """
        x, corrected = _logit(p), self(p)
        along_slope = self.slope_variance * x + self.covariance
        along_shift = self.covariance * x + self.shift_variance
        scale = information / (1 + information * (along_slope * x + along_shift))
        self.slope_variance -= scale * along_slope**2
        self.covariance -= scale * along_slope * along_shift
        self.shift_variance -= scale * along_shift**2
        self.slope += (self.slope_variance * x + self.covariance) * (label - corrected)
        self.shift += (self.covariance * x + self.shift_variance) * (label - corrected)


class _Share(_Part):
    """How often an answer is correct: counts that lose weight beyond MEMORY."""

    correct: float = Field(gt=0)
    wrong: float = Field(gt=0)

    @property
    def mean(self) -> float:
        return self.correct / (self.correct + self.wrong)

    def learn(self, correct: bool, weight: float) -> None:
        self.correct += weight * correct
        self.wrong += weight * (not correct)
        kept = min(1.0, MEMORY / (self.correct + self.wrong))
        self.correct, self.wrong = kept * self.correct, kept * self.wrong


class _Anchors(_Part):
    """How often the answers that were sent are correct, where a comparison is sure."""

    same: _Share = Field(default_factory=lambda: _Share(correct=9.0, wrong=1.0))
    different: _Share = Field(default_factory=lambda: _Share(correct=5.0, wrong=5.0))


class _State(_Part):
    scalings: dict[Task, PlattScaling] = Field(default_factory=dict)
    anchors: dict[Tier, _Anchors] = Field(default_factory=dict)


class Calibration:
    """Platt scalings by task."""

    def __init__(self) -> None:
        self._state = _State()

    def corrected(self, task: Task, found: Agreement) -> Agreement:
        """Returns `found` with the corrected probability; equal texts, refusals and JSON stay as they are."""
        if found.layer not in CORRECTED:
            return found
        p_same = self._scaling(task)(found.p_same)
        return Agreement(p_same, found.sure and _is_extreme(p_same), found.layer)

    def learn(self, task: Task, found: Agreement, label: float) -> None:
        """Learns a judgement.

        Args:
            found: the comparison, not corrected.
            label: the probability that both answers say the same.
        """
        if found.layer in CORRECTED:
            p = self._scaling(task)(found.p_same)
            self._scaling(task).learn(found.p_same, label, max(MIN_INFORMATION, p * (1 - p)))

    def learn_feedback(
        self, task: Task, found: Agreement, tier: Tier, *, correct: bool, weight: float = 1.0
    ) -> None:
        """Learns whether one of the two answers, which was sent, is correct.

        Args:
            found: the comparison, not corrected.
            tier: of the arm whose answer was sent.
            weight: how far it is believed, from 0 to 1; with 0 nothing is learned.
        """
        if weight <= 0:
            return
        anchors = self._state.anchors.setdefault(tier, _Anchors())
        if found.sure and _is_extreme(found.p_same):
            (anchors.same if found.p_same > 0.5 else anchors.different).learn(correct, weight)
        if found.layer not in CORRECTED:
            return
        p = self._scaling(task)(found.p_same)
        same, different = anchors.same.mean, anchors.different.mean
        p_correct = p * same + (1 - p) * different
        if_correct, if_wrong = p * same / p_correct, p * (1 - same) / (1 - p_correct)
        information = p_correct * (if_correct - p) ** 2 + (1 - p_correct) * (if_wrong - p) ** 2
        label = if_correct if correct else if_wrong
        self._scaling(task).learn(found.p_same, label, weight * information)

    def snapshot(self) -> dict[str, Any]:
        """Returns what was learned, for JSON."""
        return self._state.model_dump()

    def restore(self, snapshot: object) -> None:
        """Restores a snapshot.

        Raises:
            ValueError: it is not a snapshot of this class.
        """
        self._state = _State.model_validate(snapshot)

    def _scaling(self, task: Task) -> PlattScaling:
        return self._state.scalings.setdefault(task, PlattScaling())


def _is_extreme(p_same: float) -> bool:
    return not SURE_DIFFERENT <= p_same <= SURE_SAME


def _logit(p: float) -> float:
    p = min(1 - MIN_P, max(MIN_P, p))
    return math.log(p / (1 - p))
