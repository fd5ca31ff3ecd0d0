"""Bootstrap intervals of ratios, from the sums of replays by group of questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.replay.replay_result import ReplayResult
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


def group_sums(result: ReplayResult, groups: int) -> Matrix:
    """Returns the sums of the measures over each group's questions, shape (groups, len(MEASURES))."""
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
    """Totals of the measures, shape (..., len(MEASURES)): of a sample, or of its resamples."""

    sums: Matrix

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.sums[..., MEASURES.index(name)])

    def mean(self, name: str) -> NDArray[np.float64]:
        """Returns the mean per question."""
        return self[name] / self["questions"]

    @property
    def kept(self) -> NDArray[np.float64]:
        """The accuracy as a share of the reference's."""
        return self["correct"] / self["reference"]


class Resampler:
    """Draws seeds and groups with replacement, the same for every policy: a crossed, paired bootstrap.

    Replays with different seeds share their questions, so resampling only seeds would give intervals that
    are too narrow. Both factors are resampled (Owen 2007, "The pigeonhole bootstrap"), which is conservative.
    """

    def __init__(self, seeds: int, groups: int, *, draws: int = 1000, seed: int = 0) -> None:
        rng = np.random.default_rng((seed, 5))
        self._seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(np.float64)
        self._groups = rng.multinomial(groups, np.full(groups, 1 / groups), draws).astype(np.float64)

    def sample(self, sums: Matrix) -> Totals:
        """Returns the totals of sums of shape (seeds, groups, measures), not resampled."""
        return Totals(sums.sum(axis=(0, 1)))

    def resamples(self, sums: Matrix) -> Totals:
        """Returns the totals of each draw, shape (draws, measures)."""
        by_group = [self._seeds @ sums[:, :, m] for m in range(sums.shape[2])]
        return Totals(np.stack([(sums * self._groups).sum(axis=1) for sums in by_group], axis=1))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the central 95% interval."""
    low, high = np.nanpercentile(values, (2.5, 97.5)).tolist()
    return low, high
