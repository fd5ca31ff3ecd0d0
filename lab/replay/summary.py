"""The figures of one replay."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lab.replay.replay_result import Result
from lab.sim.dataset import Matrix


@dataclass(frozen=True)
class Summary:
    """What a replay came to; means over its questions unless said otherwise.

    Attributes:
        edge_share: answers that the board gave.
        kept: right answers as a share of the reference's.
        pgr: performance gap recovered, (accuracy - board's) / (reference's - board's) (RouteLLM, Ong et al.
            2024); NaN where there is no gap.
        device_j, cloud_j: energy, audits and failures included; the board's is of all it draws meanwhile.
        above_idle_j: of the board without its idle power.
        cost: weighted.
        calls: requests to the cloud, audits included.
        route_auroc: of the risk told before any arm ran, against the board's best arm being wrong.
        answer_auroc: of the risk told after the first answer, against the same, where the board was asked.
    """

    policy: str
    edge_share: float
    accuracy: float
    reference: float
    kept: float
    pgr: float
    latency_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    device_j: float
    above_idle_j: float
    cloud_j: float
    cost: float
    calls: float
    escalated: float
    audited: float
    failures: float
    alarms: float
    route_auroc: float
    answer_auroc: float

    def row(self) -> dict[str, object]:
        """For a table."""
        return asdict(self)


def summarise(result: Result) -> Summary:
    """The figures of one replay."""
    latency_ms = result["latency_ms"]
    accuracy, reference = float(result["correct"].mean()), float(result.reference.mean())
    board = float(result.board_right.mean())
    p50, p95, p99 = np.percentile(latency_ms, (50, 95, 99)).tolist()
    return Summary(
        policy=result.policy,
        edge_share=float(result.on_board.mean()),
        accuracy=accuracy,
        reference=reference,
        kept=accuracy / reference if reference else math.nan,
        pgr=(accuracy - board) / (reference - board) if reference != board else math.nan,
        latency_ms=float(latency_ms.mean()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        device_j=float(result["device_j"].mean()),
        above_idle_j=float((result["device_j"] - result["idle_j"]).mean()),
        cloud_j=float(result["cloud_j"].mean()),
        cost=float(result.cost.mean()),
        calls=float(result["cloud_calls"].mean()),
        escalated=float(result["escalated"].mean()),
        audited=float(result["audited"].mean()),
        failures=float(result["failures"].mean()),
        alarms=float(result["alarms"].sum()),
        route_auroc=auroc(result["route_risk"], ~result.board_right),
        answer_auroc=auroc(result["answer_risk"], ~result.board_right),
    )


def auroc(score: Matrix, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive outranks a negative, ties counting half; unscored (NaN) entries are left out.

    >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    scored = ~np.isnan(score)
    score, positive = score[scored], positive[scored]
    count = int(positive.sum())
    if not 0 < count < len(positive):
        return math.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))
