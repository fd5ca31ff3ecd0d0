"""The cost of a rival at the controller's accuracy.

Each knob setting of a rival is a point of accuracy and cost. By choosing between two settings at random, a
rival reaches every point between them, so its cost is read from the lower convex hull of its points. Always
asking the cloud is added as a point, for rivals that do not reach the accuracy themselves. If no point is
accurate enough, the cost of the most accurate point is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.replay.bootstrap import Resampler, interval
from lab.sim.dataset import Matrix


@dataclass(frozen=True)
class EqualAccuracy:
    """A rival at the controller's accuracy.

    Attributes:
        cost: of the rival per question, weighted.
        extra: the rival's cost above the controller's, as a share of the controller's.
        low, high: 95% interval of `extra`.
    """

    rival: str
    cost: float
    extra: float
    low: float
    high: float

    @property
    def beaten(self) -> bool:
        """Whether the rival costs more, with an interval above 0."""
        return self.low > 0


def compare_at_equal_accuracy(
    rival: str, ours: Matrix, points: Sequence[Matrix], always_cloud: Matrix, resampler: Resampler
) -> EqualAccuracy:
    """Compares a rival with the controller; all sums have shape (seeds, groups, measures)."""
    own, own_drawn = resampler.sample(ours), resampler.resamples(ours)
    everything = [*points, always_cloud]
    samples = [resampler.sample(sums) for sums in everything]
    drawn = [resampler.resamples(sums) for sums in everything]
    cost = cost_at(
        float(own.mean("correct")),
        np.array([float(s.mean("correct")) for s in samples]),
        np.array([float(s.mean("cost")) for s in samples]),
    )
    accuracies = np.stack([d.mean("correct") for d in drawn], axis=1)
    costs = np.stack([d.mean("cost") for d in drawn], axis=1)
    wanted, own_costs = own_drawn.mean("correct"), own_drawn.mean("cost")
    ratios = [
        cost_at(float(w), a, c) / float(o) - 1
        for w, a, c, o in zip(wanted, accuracies, costs, own_costs, strict=True)
    ]
    low, high = interval(np.array(ratios))
    return EqualAccuracy(rival, cost, cost / float(own.mean("cost")) - 1, low, high)


def cost_at(wanted: float, accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> float:
    """Returns the minimum cost at an accuracy of at least `wanted`, on the lower convex hull of the points.

    >>> round(cost_at(0.8, np.array([0.7, 0.9, 0.8]), np.array([1.0, 2.0, 1.9])), 3)
    1.5
    """
    hull = lower_hull(accuracy, cost)
    return float(np.interp(wanted, [a for a, _ in hull], [c for _, c in hull]))


def lower_hull(accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Returns the corners of the lower convex hull, cheapest first: both accuracy and cost rise.

    A point that is both less accurate and more expensive than another is never used.

    >>> lower_hull(np.array([0.7, 0.6, 0.9, 0.8]), np.array([1.0, 1.1, 2.0, 1.9]))
    [(0.7, 1.0), (0.9, 2.0)]
    """
    hull: list[tuple[float, float]] = []
    for point in sorted(zip(accuracy.tolist(), cost.tolist(), strict=True)):
        if hull and point[0] == hull[-1][0]:
            continue
        while hull and hull[-1][1] >= point[1]:
            hull.pop()
        while len(hull) >= 2 and _turns_up(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
