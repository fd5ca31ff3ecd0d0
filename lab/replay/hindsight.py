"""The least cost at an accuracy, for a mixture of policies that was chosen in hindsight for each phase.

In each phase, some share of the questions is given to each of several fixed policies. The cost of the best
such mixture for the whole replay is the sum of the phases' lower convex hulls: at every value of accuracy,
the next right answer is bought in the phase where it costs least.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lab.replay.drift_phases import DriftReplays
from lab.replay.equal_accuracy import lower_hull
from lab.sim.dataset import Matrix


def fixed_cost(candidates: Sequence[DriftReplays], accuracy: float) -> float:
    """Returns the least cost at an accuracy for one mixture in all phases.

    If no mixture is accurate enough, the cost is that of the most accurate one.
    """
    return _least(candidates, np.zeros_like(candidates[0].phase), accuracy)


def switching_cost(candidates: Sequence[DriftReplays], accuracy: float) -> float:
    """Returns the least cost at an accuracy for a mixture per phase."""
    return _least(candidates, candidates[0].phase, accuracy)


def _least(candidates: Sequence[DriftReplays], phase: NDArray[np.int64], accuracy: float) -> float:
    edges: list[tuple[float, float]] = []
    least_accuracy = least_cost = 0.0
    for number in np.unique(phase):
        where = phase == number
        share = float(where.mean())
        hull = lower_hull(
            np.array([float(c.correct[:, where].mean()) for c in candidates]),
            np.array([float(c.cost[:, where].mean()) for c in candidates]),
        )
        least_accuracy += share * hull[0][0]
        least_cost += share * hull[0][1]
        steps: Matrix = share * np.diff(np.array(hull), axis=0)
        edges += [(float(more), float(dearer)) for more, dearer in steps]
    edges.sort(key=lambda edge: edge[1] / edge[0])
    missing, cost = accuracy - least_accuracy, least_cost
    for more, dearer in edges:
        if missing <= 0:
            break
        part = min(1.0, missing / more)
        cost += part * dearer
        missing -= more
    return cost
