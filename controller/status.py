"""What the controller holds, for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from controller import snapshot
from controller.loss import Interval


@dataclass(frozen=True)
class Status:
    """Shares are of all questions answered since the first, 0 when there are none.

    Attributes:
        questions: how many were answered.
        edge_share: share answered by the board.
        escalated, audited: shares whose board answer was escalated, or audited.
        labels: comparisons of a board's answer with the cloud's, and truths from feedback.
        kept: share of the cloud's accuracy that was kept where there was a choice; None before the first.
        floor: what it should be.
        price: of a lost right answer, in average calls of the cloud.
        lam: the same in units of cost.
        alarms: drift events so far.
    """

    questions: int
    edge_share: float
    escalated: float
    audited: float
    labels: int
    feedback: int
    failures: int
    kept: Interval | None
    floor: float
    price: float
    lam: float
    alarms: int


class Tally:
    """Counts by name."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def add(self, name: str, count: int = 1) -> None:
        """Count."""
        self._counts[name] += count

    def share(self, name: str) -> float:
        """Of the questions."""
        return self._counts[name] / max(1, self._counts["questions"])

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return dict(self._counts)

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        self._counts = Counter({name: int(snapshot.number(held, name)) for name in snapshot.table(held)})
