"""Confidence cascades: ask the board, and the cloud if the board's confidence is below a threshold.

The pair of arms is chosen on the tuning half: the cheapest one, over all thresholds that keep the required
share of the reference's accuracy. `raw` uses the geometric mean of the tokens' probabilities as confidence,
`isotonic` the first token's margin, calibrated on the tuning half (Zadrozny and Elkan 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from controller import Arm, Confidence, Context, Execution, FollowUp
from lab.policies.rival import KEEP, Choice, Rival
from lab.sim.dataset import Dataset, Matrix

Kind = Literal["raw", "isotonic"]
Curve = tuple[Matrix, Matrix]  # confidences and their calibrated values
GRID = np.linspace(0.02, 0.98, 25)
REQUIRED = 0.98  # share of the reference's accuracy, when the pair is chosen


@dataclass(frozen=True)
class Pair:
    """A pair of arms.

    Attributes:
        curve: calibrates confidences; None for raw ones.
        tuning_confidence: of the local arm's answers on the tuning half.
    """

    local: Arm
    cloud: Arm
    curve: Curve | None
    tuning_confidence: Matrix

    def confidence(self, confidence: Confidence | None) -> float:
        """Returns the board's confidence in an answer, in [0, 1]."""
        return float(calibrated(self.curve, raw_confidence(confidence, self.curve is not None)))

    def threshold(self, share: float) -> float:
        """Returns the threshold below which `share` of the tuning half's confidences are."""
        return float(np.quantile(self.tuning_confidence, share))


def raw_confidence(confidence: Confidence | None, margin: bool) -> float:
    """Returns the first token's margin, or the tokens' geometric mean probability; 0.5 if unknown."""
    if confidence is None:
        return 0.5
    if margin:
        return 0.5 if confidence.first_token_margin is None else confidence.first_token_margin
    return 0.5 if confidence.mean_logprob is None else float(np.exp(confidence.mean_logprob))


def calibrated(curve: Curve | None, values: float | Sequence[float]) -> Matrix:
    """Returns the values as the curve maps them."""
    raw = np.asarray(values, dtype=np.float64)
    return raw if curve is None else np.asarray(np.interp(raw, *curve))


def fit_pair(tuning: Dataset, prices: Matrix, kind: Kind) -> Pair:
    """Returns the cheapest pair of arms that reaches the required accuracy on the tuning half."""
    from sklearn.isotonic import IsotonicRegression

    best: tuple[float, Pair] | None = None
    required = REQUIRED * tuning.correct[:, tuning.best_column("cloud")].mean()
    for local in tuning.columns_of("local"):
        right = tuning.correct[:, local]
        raw = [raw_confidence(row[local], kind == "isotonic") for row in tuning.confidences]
        curve = None
        if kind == "isotonic":
            fitted = IsotonicRegression(out_of_bounds="clip").fit(raw, right)
            # The isotonic curve has flat parts: a small slope breaks ties by the raw confidence.
            slope = 1e-3 * fitted.X_thresholds_
            curve = fitted.X_thresholds_, fitted.y_thresholds_ + slope
        confidence = calibrated(curve, raw)
        for cloud in tuning.columns_of("cloud"):
            pair = Pair(tuning.arms[local], tuning.arms[cloud], curve, confidence)
            for threshold in np.quantile(confidence, GRID):
                escalated = confidence < threshold
                accuracy = np.where(escalated, tuning.correct[:, cloud], right).mean()
                penalty = 0.0 if accuracy >= required else 1e3
                cost = prices[local] + escalated.mean() * prices[cloud] + penalty
                if best is None or cost < best[0]:
                    best = (float(cost), pair)
    if best is None:
        raise AssertionError("a dataset has both tiers")
    return best[1]


class Cascade(Rival):
    """The board first; then the cloud, if the board's confidence is below the threshold."""

    def __init__(self, pair: Pair, threshold: float) -> None:
        super().__init__()
        self._pair, self._threshold = pair, threshold
        self._cloud: dict[int, Arm] = {}

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses the board's arm."""
        cloud = self.nearest_available(self._pair.cloud, available)
        if cloud.tier == "cloud":
            self._cloud[number] = cloud
        return Choice(number, self.nearest_available(self._pair.local, available))

    def escalate(self, decision: Choice, execution: Execution, *, now: float) -> FollowUp:
        """Escalates an answer of the board below the threshold."""
        cloud = self._cloud.pop(decision.number, None)
        if execution.arm.tier == "cloud":
            return KEEP
        confidence = self._pair.confidence(execution.confidence)
        if confidence < self._threshold and cloud is not None:
            return FollowUp("escalate", cloud, loss=1.0 - confidence)
        return FollowUp("keep", loss=1.0 - confidence)
