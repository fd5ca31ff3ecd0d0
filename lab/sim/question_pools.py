"""The pools of questions from which the phases of a drift script draw."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller import FEATURES
from lab.errors import BenchError
from lab.sim.conditions import Pool
from lab.sim.dataset import Dataset

FAULTS: Final = ("blur", "darkness", "flatness", "clipped", "noise", "compression")
CLEAN, DEGRADED = 0.5, 0.65  # quantiles of the fault score: images below the first, or above the second


def pool_rows(dataset: Dataset, pool: Pool) -> NDArray[np.int64]:
    """Returns the rows of the questions in `pool`.

    `easy` contains the question types that the board's best arm answers best, up to about half of the
    questions, and `hard` the others. `degraded` contains the images with the highest camera-fault signals,
    `clean` those with the lowest.

    Raises:
        BenchError: the trace has only one type of question, or no image differs in a camera fault.
    """
    if pool == "all":
        return np.arange(len(dataset))
    if pool in ("clean", "degraded"):
        return _by_camera_fault(dataset, degraded=pool == "degraded")
    right = dataset.correct[:, dataset.best_column("local")]
    by_type: dict[str, list[int]] = defaultdict(list)
    for row, kind in enumerate(dataset.types):
        by_type[kind].append(row)
    ordered = sorted(by_type, key=lambda kind: -float(right[by_type[kind]].mean()))
    easy: list[int] = []
    for kind in ordered[:-1]:
        easy += by_type[kind]
        if len(easy) >= 0.45 * len(dataset):
            break
    rows = easy if pool == "easy" else sorted(set(range(len(dataset))) - set(easy))
    if not rows:
        raise BenchError("the trace has only one type of question: its content cannot be swapped")
    return np.array(rows)


def _by_camera_fault(dataset: Dataset, *, degraded: bool) -> NDArray[np.int64]:
    columns = dataset.matrix[:, [FEATURES.index(name) for name in FAULTS]]
    deviation = columns.std(axis=0)
    if not deviation.any():
        raise BenchError("no image of the trace differs from the others in a camera fault")
    score = ((columns - columns.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)).max(axis=1)
    if degraded:
        return np.flatnonzero(score >= np.quantile(score, DEGRADED))
    return np.flatnonzero(score <= np.quantile(score, CLEAN))
