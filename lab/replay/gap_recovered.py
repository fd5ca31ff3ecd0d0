"""How much of the gap between board and cloud a policy closes for how many calls (RouteLLM, Ong 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.replay.summary import Summary


@dataclass(frozen=True)
class Curve:
    """Performance gap recovered over the share of calls to the cloud.

    Attributes:
        apgr: mean of the gap recovered over all shares of calls; 0.5 is a coin's.
        cpt50, cpt80: least share of calls that recovers half and four fifths of the gap.
    """

    apgr: float
    cpt50: float
    cpt80: float


def curve_of(summaries: Sequence[Summary]) -> Curve:
    """From the means of one policy at several knobs, with the two ends that every policy could have.

    Calls above one a question (audits after answers) count as one.
    """
    points = sorted((min(1.0, s.calls), s.pgr) for s in summaries if np.isfinite(s.pgr))
    shares = np.array([0.0, *(share for share, _ in points), 1.0])
    recovered = np.maximum.accumulate([0.0, *(pgr for _, pgr in points), 1.0])
    grid = np.linspace(0.0, 1.0, 501)
    along = np.interp(grid, shares, recovered)
    return Curve(float(along.mean()), _least(grid, along, 0.5), _least(grid, along, 0.8))


def _least(grid: np.ndarray, along: np.ndarray, wanted: float) -> float:
    return float(grid[np.argmax(along >= wanted)])
