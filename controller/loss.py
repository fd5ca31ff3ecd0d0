"""What keeping the board's answers has lost, estimated from audits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from controller import snapshot
from controller.errors import SnapshotError

Z95: Final = 1.96
PRIOR_DIFFERED: Final = 10.0  # imagined answers that differed just as predicted
RATIO: Final = (0.5, 3.0)


@dataclass(frozen=True)
class Interval:
    """A 95% interval with its estimate inside."""

    low: float
    estimate: float
    high: float


class Loss:
    """Discounted mean of the doubly robust estimates of "differs from the cloud", over all questions."""

    def __init__(self, forgetting: float) -> None:
        self._forgetting = forgetting
        self._weight = self._weight2 = 0.0  # sums of weights and of squared weights
        self._predicted = self._estimated = self._squares = self._variance = 0.0

    @property
    def ratio(self) -> float:
        """How many answers differed for each that was predicted to."""
        ratio = (self._estimated + PRIOR_DIFFERED) / (self._predicted + PRIOR_DIFFERED)
        return max(RATIO[0], min(RATIO[1], ratio))

    def learn(self, predicted: float, estimated: float, variance: float) -> None:
        """Take in one question: its prediction, its `aipw` estimate and the variance that should have.

        The cloud's own answer has all three 0.
        """
        keep = self._forgetting
        self._weight = keep * self._weight + 1.0
        self._weight2 = keep * keep * self._weight2 + 1.0
        self._predicted = keep * self._predicted + predicted
        self._estimated = keep * self._estimated + estimated
        self._squares = keep * self._squares + estimated * estimated
        self._variance = keep * keep * self._variance + variance

    def kept(self, net: float, net_variance: float, accuracy: float) -> Interval | None:
        """The share of the cloud's accuracy that was kept; None before the first question.

        Args:
            net: right answers lost by each that differs, and the variance of that.
            accuracy: the cloud's share of right answers.

        The variance is the larger of what the estimates showed and what the predictions say they should
        show, so that it is honest before the first audit found anything.
        """
        if self._weight == 0.0:
            return None
        mean = max(0.0, self._estimated / self._weight)
        shown = max(0.0, self._squares / self._weight - mean * mean) * self._weight2
        variance = max(shown, self._variance) / self._weight**2
        deviation = math.sqrt(net * net * variance + mean * mean * net_variance) / accuracy
        estimate = 1.0 - net * mean / accuracy
        return Interval(max(0.0, estimate - Z95 * deviation), estimate, min(1.0, estimate + Z95 * deviation))

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        weights = [self._weight, self._weight2]
        return {"sums": [*weights, self._predicted, self._estimated, self._squares, self._variance]}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        sums = snapshot.array(held, "sums", (6,)).tolist()
        self._weight, self._weight2, self._predicted, self._estimated, self._squares, self._variance = sums
        if min(self._weight, self._weight2, self._squares, self._variance) < 0:
            raise SnapshotError("the snapshot's sums of estimates are no sums")
