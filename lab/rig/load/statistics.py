"""What became of the questions of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lab.rig.load.generator import Sent


@dataclass
class Tally:
    """Counts, and of the answers the latencies in ms and as shares of their deadlines.

    A question enters when it is over.
    """

    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    other_replies: int = 0
    repeats: int = 0
    late: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    deadline_shares: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, questions: Iterable[Sent]) -> Tally:
        """The tally of questions that are over."""
        tally = cls()
        for sent in questions:
            tally.add(sent)
        return tally

    def add(self, sent: Sent) -> None:
        """Count one."""
        self.sent += 1
        self.outcomes[sent.outcome] += 1
        self.other_replies += sent.other_replies
        self.repeats += sent.repeats
        if sent.outcome == "answer" and sent.latency_ms is not None:
            self.latencies_ms.append(sent.latency_ms)
            self.deadline_shares.append(sent.latency_ms / sent.deadline_ms)
            self.late += sent.latency_ms > sent.deadline_ms

    @property
    def answered(self) -> int:
        """How many got an answer."""
        return self.outcomes["answer"]

    @property
    def lost(self) -> int:
        """How many got neither an answer nor an error."""
        return self.outcomes["none"]

    @property
    def errors(self) -> int:
        """How many got an error."""
        return self.sent - self.answered - self.lost

    def percentile_ms(self, share: float) -> float | None:
        """Latency that `share` of the answers stay below; None without answers."""
        return _quantile(self.latencies_ms, share)

    def percentile_of_deadline(self, share: float) -> float | None:
        """Part of its own deadline that `share` of the answers stay below; 1 is just in time."""
        return _quantile(self.deadline_shares, share)


def _quantile(values: list[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
