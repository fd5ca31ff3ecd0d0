"""Keeping the long-run accuracy above a share of the cloud's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from controller import snapshot
from controller.errors import SnapshotError

Z95: Final = 1.96
CAREFUL: Final = 2.0  # the price opens at this over 2 allowances' worth, and an alarm multiplies it so
RANGE: Final = 20.0
LARGEST_STEP: Final = 0.5  # of the price's logarithm, at one question


@dataclass(frozen=True)
class Interval:
    """A 95% interval with its estimate inside."""

    low: float
    estimate: float
    high: float


class Floor:
    """One dual variable: the price of a lost right answer, in units of an average call of the cloud.

    A question's allowance is (1 - floor) of the cloud's accuracy. The price rises with each loss above the
    allowance and falls with each below, by mirror ascent on the dual of "least cost such that the average
    loss is at most the allowance" (cf. Neely 2010, whose virtual queue is its logarithm). Multiplied by the
    running average of the cloud's cost it is lambda: so a slower cloud does not cheapen quality.

    Questions on which nothing could be chosen are no part of it, and where the cloud was cheaper anyway the
    price does not fall: slack that nobody chose would be spent all at once when the world changes.
    """

    def __init__(self, floor: float, step: float, forgetting: float, accuracy: float) -> None:
        self._share = 1.0 - floor
        self._step = step
        self._forgetting = forgetting
        self._price = 1.0 / (CAREFUL * self.allowance(accuracy))
        self._cost = 0.0
        self._count = 0
        self._weight = self._weight2 = 0.0  # discounted sums of 1 and of squared weights
        self._sum = self._squares = self._variance = 0.0  # of the estimates of "differs"

    @property
    def price(self) -> float:
        """Of a lost answer, in average calls of the cloud."""
        return self._price

    def lam(self, cost: float) -> float:
        """Lambda, in the units of cost; `cost` is that of the cloud now, used while no average is known."""
        return self._price * (self._cost or cost)

    def allowance(self, accuracy: float) -> float:
        """Right answers that may be lost for each question, where the cloud has `accuracy`."""
        return max(1e-3, self._share * accuracy)

    def learn_cost(self, cost: float) -> None:
        """Take in what asking the cloud would have cost for a question."""
        self._cost += (cost - self._cost) * (0.05 if self._cost else 1.0)

    def learn(
        self, differed: float, variance: float, *, net: float, accuracy: float, may_fall: bool = True
    ) -> None:
        """Take in one question: the estimate of its answer differing from the cloud's, and its variance.

        `net` is the loss for each that differs. The cloud's own answer has both 0.
        """
        keep = self._forgetting
        self._count += 1
        self._weight = keep * self._weight + 1.0
        self._weight2 = keep * keep * self._weight2 + 1.0
        self._sum = keep * self._sum + differed
        self._squares = keep * self._squares + differed * differed
        self._variance = keep * keep * self._variance + variance
        allowance = self.allowance(accuracy)
        excess = self._step * (net * differed / allowance - 1.0)
        excess = max(-LARGEST_STEP, min(LARGEST_STEP, excess))
        if excess > 0 or may_fall:
            self._set(self._price * math.exp(excess), allowance)

    def be_careful(self, accuracy: float) -> None:
        """After a quality alarm: at least the opening price, and twice what it was."""
        allowance = self.allowance(accuracy)
        self._set(CAREFUL * max(self._price, 1.0 / (2.0 * CAREFUL * allowance)), allowance)

    def kept(self, net: float, net_variance: float, accuracy: float) -> Interval | None:
        """The share of the cloud's accuracy that was kept; None before the first question.

        The variance is the larger of what the estimates showed and what the predictions say they should
        show, so that it is honest before the first audit found anything.
        """
        if self._weight == 0.0:
            return None
        mean = self._sum / self._weight
        shown = max(0.0, self._squares / self._weight - mean * mean) * self._weight2
        spread2 = max(shown, self._variance) / self._weight**2
        deviation = math.sqrt(net * net * spread2 + mean * mean * net_variance) / accuracy
        estimate = 1.0 - net * mean / accuracy
        return Interval(max(0.0, estimate - Z95 * deviation), estimate, min(1.0, estimate + Z95 * deviation))

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {
            "price": self._price,
            "cost": self._cost,
            "count": self._count,
            "sums": [self._weight, self._weight2, self._sum, self._squares, self._variance],
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        self._price = snapshot.number(held, "price")
        self._cost = snapshot.number(held, "cost")
        self._count = int(snapshot.number(held, "count"))
        sums = snapshot.array(held, "sums", (5,)).tolist()
        self._weight, self._weight2, self._sum, self._squares, self._variance = sums
        if self._price <= 0 or self._cost < 0 or self._weight < 0:
            raise SnapshotError("the snapshot's price of a lost answer is no price")

    def _set(self, price: float, allowance: float) -> None:
        self._price = min(RANGE / allowance, max(1.0 / (RANGE * allowance), price))
