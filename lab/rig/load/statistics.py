"""Counts and latencies of the queries of a load test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lab.rig.load.generator import SentQuery


@dataclass
class QueryStatistics:
    """Statistics of queries that expect no further reply.

    Attributes:
        sent: Queries.
        outcomes: Queries by outcome.
        different_replies: Replies that differ from the first reply to the same query.
        repeats: Copies of a first reply.
        late: Answers after their deadline.
        latencies_ms: Of each answer.
        deadline_shares: Latency of each answer divided by its deadline.
    """

    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    different_replies: int = 0
    repeats: int = 0
    late: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    deadline_shares: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, queries: Iterable[SentQuery]) -> QueryStatistics:
        """Returns the statistics of `queries`."""
        statistics = cls()
        for query in queries:
            statistics.add(query)
        return statistics

    def add(self, query: SentQuery) -> None:
        """Adds one query."""
        self.sent += 1
        self.outcomes[query.outcome] += 1
        self.different_replies += query.different_replies
        self.repeats += query.repeats
        if query.outcome == "answer" and query.latency_ms is not None:
            self.latencies_ms.append(query.latency_ms)
            self.deadline_shares.append(query.latency_ms / query.deadline_ms)
            self.late += query.latency_ms > query.deadline_ms

    @property
    def answered(self) -> int:
        """Queries whose first reply is an answer."""
        return self.outcomes["answer"]

    @property
    def lost(self) -> int:
        """Queries without any reply."""
        return self.outcomes["none"]

    @property
    def errors(self) -> int:
        """Queries whose first reply is an error."""
        return self.sent - self.answered - self.lost

    def latency_ms_quantile(self, q: float) -> float | None:
        """Returns quantile `q` of the latency of answers; None without answers."""
        return _quantile(self.latencies_ms, q)

    def deadline_share_quantile(self, q: float) -> float | None:
        """Returns quantile `q` of latency divided by deadline; None without answers."""
        return _quantile(self.deadline_shares, q)


def _quantile(values: list[float], q: float) -> float | None:
    return float(np.quantile(values, q)) if values else None
