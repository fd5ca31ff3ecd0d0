"""Sums of a replay by group of questions, from which ratios and their intervals are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.replay.replay_result import Result
from lab.sim.dataset import Matrix

MEASURES: Final = (
    "questions",
    "correct",
    "reference",
    "cost",
    "latency_ms",
    "device_j",
    "above_idle_j",
    "cloud_j",
    "on_board",
    "cloud_calls",
    "escalated",
    "audited",
)


def tally(result: Result, groups: int) -> Matrix:
    """Sums of the measures over each group's questions, shape (groups, len(MEASURES))."""
    sums = np.empty((groups, len(MEASURES)))
    values = {
        "questions": np.ones(len(result.cost)),
        "reference": result.reference,
        "cost": result.cost,
        "on_board": result.on_board,
        "above_idle_j": result["device_j"] - result["idle_j"],
    }
    for column, name in enumerate(MEASURES):
        value = values[name] if name in values else result[name]
        sums[:, column] = np.bincount(result.groups, weights=value.astype(np.float64), minlength=groups)
    return sums


@dataclass(frozen=True)
class Totals:
    """Totals of the measures, shape (..., len(MEASURES)): of a sample, or of many resamples of it."""

    sums: Matrix

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.sums[..., MEASURES.index(name)])

    def mean(self, name: str) -> NDArray[np.float64]:
        """By question."""
        return self[name] / self["questions"]

    @property
    def kept(self) -> NDArray[np.float64]:
        """Accuracy as a share of the reference's."""
        return self["correct"] / self["reference"]


class Resampler:
    """Draws seeds and groups with replacement, the same for every policy: a crossed, paired bootstrap.

    Replays share their questions, so seeds alone would tell too little: both factors are resampled (Owen
    2007, "The pigeonhole bootstrap", which errs on the wide side).
    """

    def __init__(self, seeds: int, groups: int, *, draws: int = 1000, seed: int = 0) -> None:
        rng = np.random.default_rng((seed, 5))
        self._seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(np.float64)
        self._groups = rng.multinomial(groups, np.full(groups, 1 / groups), draws).astype(np.float64)

    def sample(self, tallies: Matrix) -> Totals:
        """Of tallies, shape (seeds, groups, measures): the totals as they are."""
        return Totals(tallies.sum(axis=(0, 1)))

    def resamples(self, tallies: Matrix) -> Totals:
        """The totals of each draw, shape (draws, measures)."""
        by_group = [self._seeds @ tallies[:, :, m] for m in range(tallies.shape[2])]
        return Totals(np.stack([(sums * self._groups).sum(axis=1) for sums in by_group], axis=1))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95%."""
    low, high = np.nanpercentile(values, (2.5, 97.5)).tolist()
    return low, high
