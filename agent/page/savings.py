"""Estimates what the board's answers save in comparison with a cloud that answers everything.

1. What always-cloud needs for a question is what the cloud's own call needed, if the cloud was asked, also
   for an audit. Otherwise it is the prediction for the cloud arm that the controller would have chosen.
2. From that, what was used is subtracted. Latency: all calls up to the answer; the time in the queue is the
   same in both cases. Energy: all calls, the audit included. So a board's call before an escalation, and an
   audit, are losses.
3. Money: a question that the cloud did not answer saves the mean cost of those that it did answer.
4. A question counts only where both numbers are known, so not where the cloud could not be asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLOUD = "cloud/"


@dataclass
class Savings:
    """Sums since the agent started; all are estimates.

    Attributes:
        answers, board: questions that were answered, and those of them that the board answered.
        timed, saved_ms: questions with a known saving of latency, and its sum.
        metered, used_j, cloud_j: questions with a known energy, what was used, and what always-cloud needs.
        priced, paid: questions with a known cost, and its sum.
        cloud_priced, cloud_paid: those of them that the cloud answered.
        currency: of the costs; None before the first.
    """

    answers: int = 0
    board: int = 0
    timed: int = 0
    saved_ms: float = 0.0
    metered: int = 0
    used_j: float = 0.0
    cloud_j: float = 0.0
    priced: int = 0
    paid: float = 0.0
    cloud_priced: int = 0
    cloud_paid: float = 0.0
    currency: str | None = None

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds an answer.

        Args:
            record: its decision record.
        """
        runs, chosen = record["runs"], record["chosen"]
        on_board = not runs[chosen]["arm"].startswith(CLOUD)
        self.answers += 1
        self.board += on_board
        used_ms = _sum(runs[: chosen + 1], "latency_ms")
        cloud_ms = _always_cloud(record, "latency_ms")
        if used_ms is not None and cloud_ms is not None:
            self.timed += 1
            self.saved_ms += cloud_ms - used_ms
        used_j, cloud_j = _sum(runs, "energy_j"), _always_cloud(record, "energy_j")
        if used_j is not None and cloud_j is not None:
            self.metered += 1
            self.used_j += used_j
            self.cloud_j += cloud_j
        self._add_cost(record, on_board)

    @property
    def saved_cost(self) -> float | None:
        """Money saved against always-cloud; None before the cloud has answered with a known cost."""
        if not self.cloud_priced:
            return None
        return self.cloud_paid / self.cloud_priced * self.priced - self.paid

    def to_json(self) -> dict[str, Any]:
        """Returns the sums that the page shows."""
        return {
            "answers": self.answers,
            "board": self.board,
            "saved_ms": self.saved_ms / self.timed if self.timed else None,
            "used_j": self.used_j if self.metered else None,
            "cloud_j": self.cloud_j if self.metered else None,
            "saved_cost": self.saved_cost,
            "currency": self.currency,
        }

    def _add_cost(self, record: Mapping[str, Any], on_board: bool) -> None:
        cost, currency = record.get("cost"), record.get("currency")
        if cost is None or currency is None:
            return
        if currency != self.currency:  # the prices in the site file have changed
            self.currency, self.priced, self.cloud_priced = currency, 0, 0
            self.paid = self.cloud_paid = 0.0
        self.priced += 1
        self.paid += cost
        if not on_board:
            self.cloud_priced += 1
            self.cloud_paid += cost


def _sum(runs: list[Mapping[str, Any]], name: str) -> float | None:
    values = [run.get(name) for run in runs]
    return None if None in values else sum(value for value in values if value is not None)


def _always_cloud(record: Mapping[str, Any], name: str) -> float | None:
    """Returns what the cloud's call needed, else what the best cloud arm was expected to need."""
    runs = record["runs"]
    for run in (runs[record["chosen"]], *runs):
        if run["arm"].startswith(CLOUD) and "failure" not in run and run.get(name) is not None:
            return float(run[name])
    arms = [
        arm
        for id_, arm in record["predictions"].items()
        if id_.startswith(CLOUD) and not arm.get("blocked") and math.isfinite(arm[name])
    ]
    return float(min(arms, key=lambda arm: arm["score"])[name]) if arms else None
