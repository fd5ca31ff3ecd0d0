"""The performance gap between board and cloud that a policy recovers, by calls (RouteLLM, Ong 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.replay.summary import Summary


@dataclass(frozen=True)
class GapRecovered:
    """Performance gap recovered, as a function of the share of calls to the cloud.

    Attributes:
        apgr: mean of the gap recovered over all shares of calls; 0.5 for random routing.
        cpt50, cpt80: minimum share of calls that recovers 50% and 80% of the gap.
    """

    apgr: float
    cpt50: float
    cpt80: float


def gap_recovered(summaries: Sequence[Summary]) -> GapRecovered:
    """Computes the curve from the mean figures of one policy at several knobs.

    No calls (gap 0) and all calls (gap 1) are added as end points. More than one call per question, as with
    audits after an answer of the cloud, counts as one.
    """
    points = sorted((min(1.0, s.calls), s.pgr) for s in summaries if np.isfinite(s.pgr))
    shares = np.array([0.0, *(share for share, _ in points), 1.0])
    recovered = np.maximum.accumulate([0.0, *(pgr for _, pgr in points), 1.0])
    grid = np.linspace(0.0, 1.0, 501)
    curve = np.interp(grid, shares, recovered)
    return GapRecovered(float(curve.mean()), _least(grid, curve, 0.5), _least(grid, curve, 0.8))


def _least(grid: np.ndarray, curve: np.ndarray, wanted: float) -> float:
    return float(grid[np.argmax(curve >= wanted)])
