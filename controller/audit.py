"""Which kept answers are checked with the cloud, and what the checks say of those that were not."""

from __future__ import annotations

import math
from typing import Final

from controller import snapshot

LEAST: Final = 0.01  # propensity where there is room: an answer that cannot be audited cannot be vouched for
MOST: Final = 0.5
EVEN_RATE: Final = 0.02  # of the running average
TELLING: Final = 0.14  # deviation of a kept answer's loss at which an audit is worth the whole budget


def aipw(predicted: float, observed: float | None, propensity: float) -> float:
    """Unbiased estimate of a kept answer's label: what was predicted, corrected by its audit if it had one.

    Augmented inverse propensity weighting (Robins, Rotnitzky and Zhao 1994): unbiased when the propensities
    are right, whatever the prediction; of small variance when the prediction is good.

    >>> round(aipw(0.1, None, 0.25), 3), round(aipw(0.1, 1.0, 0.25), 3)
    (0.1, 3.7)
    """
    return predicted if observed is None else predicted + (observed - predicted) / propensity


class Audit:
    """Spreads a budget of audits over the kept answers.

    Each answer's propensity is in proportion to the deviation of its loss, |net| sqrt(d (1 - d)), which gives
    the estimate of the loss its least variance (Neyman 1934): an answer that surely agrees, or of which both
    are right as often where they differ, has little to tell. The purse pays 1 for each audit and gains
    `budget` with each question, up to half of `opening`, with which it begins: what is not spent is saved.
    What users tell of an answer need not be bought: propensities shrink with the share that they tell of.
    """

    def __init__(self, budget: float, opening: float) -> None:
        self._budget, self._opening = budget, max(1.0, opening)
        self._purse = opening
        self._kept = 0.5  # share of questions whose answer was kept
        self._told = 0.0  # share of kept answers of which somebody tells anyway whether they were right

    def propensity(self, differ: float, loss: float, scrutiny: float = 1.0) -> float:
        """How likely an answer should be audited.

        Args:
            differ: probability that it differs from the cloud's.
            loss: right answers that keeping it is expected to lose, `differ` times what differing loses.
            scrutiny: how many times as likely as others.
        """
        if self._budget <= 0:
            return 0.0
        half = self._opening / 2
        thrift = math.pow(2.0, 2.0 * (self._purse - half) / half)
        deviation = abs(loss) * math.sqrt((1.0 - differ) / differ)
        even = (1.0 - self._told) * self._budget / max(0.05, self._kept)
        return min(MOST, max(LEAST, scrutiny * even * thrift * deviation / TELLING))

    def learn(self, kept: bool, audited: bool) -> None:
        """Take in whether a question's answer was kept, and if it was audited."""
        self._purse = max(self._purse, min(self._opening / 2, self._purse + self._budget)) - audited
        self._purse = max(-self._opening, self._purse)
        self._kept += EVEN_RATE * (kept - self._kept)
        self._told -= EVEN_RATE * self._told * kept

    def learn_told(self, weight: float = 1.0) -> None:
        """Take in that somebody told whether a kept answer was right, and how far that is believed."""
        self._told = min(1.0, self._told + EVEN_RATE * weight)

    def raise_alarm(self) -> None:
        """Allow the opening audits once more."""
        self._purse = min(2 * self._opening, self._purse + self._opening)

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {"purse": self._purse, "kept": self._kept, "told": self._told}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        purse = snapshot.number(held, "purse")
        self._purse = max(-self._opening, min(2 * self._opening, purse))  # the opening may be set anew
        self._kept = snapshot.share(held, "kept")
        self._told = snapshot.share(held, "told")
