"""Confidence cascades: ask the board, and the cloud when the board's own confidence is below a threshold.

The pair of arms is the one that costs least on the tuning half among thresholds that keep the wanted share of
the reference's accuracy there. `raw` takes the geometric mean of the tokens' probabilities as confidence,
`isotonic` the first token's margin, calibrated on the tuning half (Zadrozny and Elkan 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from controller import Arm, Confidence, Context, Execution, FollowUp
from lab.policies.rival import KEEP, Choice, Static
from lab.sim.dataset import Dataset, Matrix

Kind = Literal["raw", "isotonic"]
Curve = tuple[Matrix, Matrix]  # confidences and what they are worth
GRID = np.linspace(0.02, 0.98, 25)
WANTED = 0.98  # of the reference's accuracy, when the pair is picked


@dataclass(frozen=True)
class Pair:
    """What was fitted: the arms, how a confidence is calibrated (None: not), and how sure answers were."""

    local: Arm
    cloud: Arm
    curve: Curve | None
    known: Matrix

    def sure(self, confidence: Confidence | None) -> float:
        """How sure the board is of an answer, in [0, 1]."""
        return float(calibrated(self.curve, raw_confidence(confidence, self.curve is not None)))

    def threshold(self, share: float) -> float:
        """Below which that share of the tuning half's answers was."""
        return float(np.quantile(self.known, share))


def raw_confidence(confidence: Confidence | None, margin: bool) -> float:
    """The first token's margin, or the tokens' geometric mean probability; 0.5 where none is told."""
    if confidence is None:
        return 0.5
    if margin:
        return 0.5 if confidence.first_token_margin is None else confidence.first_token_margin
    return 0.5 if confidence.mean_logprob is None else float(np.exp(confidence.mean_logprob))


def calibrated(curve: Curve | None, values: float | Sequence[float]) -> Matrix:
    """The values as the curve maps them."""
    told = np.asarray(values, dtype=np.float64)
    return told if curve is None else np.asarray(np.interp(told, *curve))


def fit_pair(tuning: Dataset, prices: Matrix, kind: Kind) -> Pair:
    """The pair of arms that costs least at the wanted accuracy on the tuning half."""
    from sklearn.isotonic import IsotonicRegression

    best: tuple[float, Pair] | None = None
    wanted = WANTED * tuning.correct[:, tuning.best("cloud")].mean()
    for local in tuning.tier("local"):
        right = tuning.correct[:, local]
        told = [raw_confidence(row[local], kind == "isotonic") for row in tuning.confidences]
        curve = None
        if kind == "isotonic":
            fitted = IsotonicRegression(out_of_bounds="clip").fit(told, right)
            # Ties at equal levels are broken by the confidence itself.
            tilt = 1e-3 * fitted.X_thresholds_
            curve = fitted.X_thresholds_, fitted.y_thresholds_ + tilt
        sure = calibrated(curve, told)
        for cloud in tuning.tier("cloud"):
            pair = Pair(tuning.arms[local], tuning.arms[cloud], curve, sure)
            for threshold in np.quantile(sure, GRID):
                up = sure < threshold
                accuracy = np.where(up, tuning.correct[:, cloud], right).mean()
                cost = prices[local] + up.mean() * prices[cloud] + (0.0 if accuracy >= wanted else 1e3)
                if best is None or cost < best[0]:
                    best = (float(cost), pair)
    if best is None:
        raise AssertionError("a dataset has both tiers")
    return best[1]


class Cascade(Static):
    """The board first; the cloud when it is less sure than the threshold."""

    def __init__(self, pair: Pair, threshold: float) -> None:
        super().__init__()
        self._pair, self._threshold = pair, threshold
        self._cloud: dict[int, Arm] = {}

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The board."""
        cloud = self.preferred(self._pair.cloud, able)
        if cloud.tier == "cloud":
            self._cloud[number] = cloud
        return Choice(number, self.preferred(self._pair.local, able))

    def escalate(self, decision: Choice, execution: Execution, *, now: float) -> FollowUp:
        """Kept when sure enough."""
        cloud = self._cloud.pop(decision.number, None)
        if execution.arm.tier == "cloud":
            return KEEP
        sure = self._pair.sure(execution.confidence)
        if sure < self._threshold and cloud is not None:
            return FollowUp("escalate", cloud, loss=1.0 - sure)
        return FollowUp("keep", loss=1.0 - sure)
