"""The figures of one replay."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from lab.probabilities import auroc
from lab.replay.replay_result import ReplayResult


@dataclass(frozen=True)
class Summary:
    """The figures of a replay; means over its questions unless stated otherwise.

    Attributes:
        edge_share: share of the answers that the board gave.
        kept: right answers as a share of the reference's.
        pgr: performance gap recovered, (accuracy - board's) / (reference's - board's) (RouteLLM, Ong et al.
            2024); NaN if there is no gap.
        device_j, cloud_j: energy, audits and failures included; the board's includes its idle power.
        above_idle_j: energy of the board without its idle power.
        cost: weighted.
        calls: requests to the cloud, audits included.
        alarms: total number.
        route_auroc: AUROC of the risk before any arm ran, for the board's best arm being wrong.
        answer_auroc: AUROC of the risk after the first answer, for the same.
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
        """Returns the figures by name, for a table."""
        return asdict(self)


def summarise(result: ReplayResult) -> Summary:
    """Computes the figures of one replay."""
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
