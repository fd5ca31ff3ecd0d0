"""What keeping the board's answers has lost, estimated from audits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from controller import snapshot
from controller.errors import SnapshotError

Z95: Final = 1.96
MISJUDGED: Final = 0.4  # deviation of the ratio below, before any audit
DOUBT: Final = 1.0  # deviations of what is not known of it by which it is overrated
RATIO: Final = (0.5, 3.0)
TINY: Final = 1e-9  # a discounted sum below this is 0: it decays until its square cannot be divided by
SUMS: Final = ("weight", "weight2", "predicted", "estimated", "squares", "variance", "lost", "risked")


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
        self._lost = self._risked = 0.0

    @property
    def ratio(self) -> float:
        """How many answers differed for each that was predicted to, as far as audits can rule out.

        What audits tell of it is drawn towards 1 by as much as it is noise, or few would move the price at
        random: the posterior of a normal with deviation `MISJUDGED` around 1. The floor is to be held without
        luck, so this is its mean and `DOUBT` of its deviations.
        """
        if self._predicted < TINY:
            return 1.0
        noise = self._variance / self._predicted**2
        told = MISJUDGED**2 / (MISJUDGED**2 + noise)
        mean = 1.0 + told * (self._estimated / self._predicted - 1.0)
        return max(RATIO[0], min(RATIO[1], mean + DOUBT * MISJUDGED * math.sqrt(1.0 - told)))

    @property
    def net(self) -> float:
        """Right answers lost by each that differed, as expected; below 0 where they were won."""
        return self._lost / self._predicted if self._predicted >= TINY else 0.0

    @property
    def typical(self) -> float:
        """How likely an answer that may have differed was held to, on average."""
        return self._predicted / self._risked if self._risked >= TINY else 0.5

    def learn(self, predicted: float, estimated: float, variance: float, lost: float) -> None:
        """Take in one question: its prediction, its `aipw` estimate and the variance that should have.

        `lost` is how many right answers were expected to be lost. The cloud's own answer has all four 0.
        """
        keep = self._forgetting
        self._weight = keep * self._weight + 1.0
        self._weight2 = keep * keep * self._weight2 + 1.0
        self._predicted = keep * self._predicted + predicted
        self._estimated = keep * self._estimated + estimated
        self._squares = keep * self._squares + estimated * estimated
        self._variance = keep * keep * self._variance + variance
        self._lost = keep * self._lost + lost
        self._risked = keep * self._risked + (predicted > 0.0)

    def kept(self, net_variance: float, accuracy: float) -> Interval | None:
        """The share of the cloud's accuracy that was kept, above 1 if the board knew better; None at first.

        Args:
            net_variance: how little is known of `net`.
            accuracy: the cloud's share of right answers.

        The variance is the larger of what the estimates showed and what the predictions say they should
        show, so that it is honest before the first audit found anything.
        """
        if self._weight == 0.0:
            return None
        net, mean = self.net, max(0.0, self._estimated / self._weight)
        shown = max(0.0, self._squares / self._weight - mean * mean) * self._weight2
        variance = max(shown, self._variance) / self._weight**2
        deviation = math.sqrt(net * net * variance + mean * mean * net_variance) / accuracy
        estimate = 1.0 - net * mean / accuracy
        return Interval(max(0.0, estimate - Z95 * deviation), estimate, estimate + Z95 * deviation)

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {name: getattr(self, f"_{name}") for name in SUMS}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        for name in SUMS:
            value = snapshot.number(held, name)
            if value < 0 and name not in ("estimated", "lost"):
                raise SnapshotError("the snapshot's sums of estimates are no sums")
            setattr(self, f"_{name}", value)
