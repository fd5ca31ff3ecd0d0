"""What a rival costs at the accuracy that the controller keeps.

A rival's knob settings are points of accuracy and cost. Between two of them it could be run at either by a
coin, so what it can reach is the lower convex hull of its points; always asking the cloud counts as one more,
for a rival that does not get there by itself. Where even that is less accurate, it is charged for its most
accurate point only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.replay.bootstrap import Resampler, interval
from lab.sim.dataset import Matrix


@dataclass(frozen=True)
class Match:
    """A rival at equal accuracy.

    Attributes:
        cost: the rival's, weighted, by question.
        more: how much more that is than the controller's, as a share of the controller's cost.
        low, high: 95% interval of `more`.
    """

    rival: str
    cost: float
    more: float
    low: float
    high: float

    @property
    def beaten(self) -> bool:
        """The rival costs more, and the interval does not touch 0."""
        return self.low > 0


def match(
    rival: str, ours: Matrix, points: Sequence[Matrix], always_cloud: Matrix, resampler: Resampler
) -> Match:
    """Compare at equal accuracy; all arguments are tallies, shape (seeds, groups, measures)."""
    mine, mine_drawn = resampler.sample(ours), resampler.resamples(ours)
    everything = [*points, always_cloud]
    samples = [resampler.sample(tallies) for tallies in everything]
    drawn = [resampler.resamples(tallies) for tallies in everything]
    cost = cost_at(
        float(mine.mean("correct")),
        np.array([float(s.mean("correct")) for s in samples]),
        np.array([float(s.mean("cost")) for s in samples]),
    )
    accuracies = np.stack([d.mean("correct") for d in drawn], axis=1)
    costs = np.stack([d.mean("cost") for d in drawn], axis=1)
    wanted, own = mine_drawn.mean("correct"), mine_drawn.mean("cost")
    ratios = [
        cost_at(float(w), a, c) / float(o) - 1
        for w, a, c, o in zip(wanted, accuracies, costs, own, strict=True)
    ]
    low, high = interval(np.array(ratios))
    return Match(rival, cost, cost / float(mine.mean("cost")) - 1, low, high)


def cost_at(wanted: float, accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> float:
    """Least cost at an accuracy of at least `wanted` on the lower convex hull of the points.

    >>> round(cost_at(0.8, np.array([0.7, 0.9, 0.8]), np.array([1.0, 2.0, 1.9])), 3)
    1.5
    """
    hull: list[tuple[float, float]] = []
    for point in sorted(zip(accuracy.tolist(), cost.tolist(), strict=True)):
        while len(hull) >= 2 and _turns_up(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    # A point that is both less accurate and dearer than another is never used.
    least = [min(c for a, c in hull if a >= own) for own, _ in hull]
    return float(np.interp(wanted, [a for a, _ in hull], least))


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
