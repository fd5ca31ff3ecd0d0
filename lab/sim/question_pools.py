"""Which questions a phase of a drift script may ask."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.signals import FEATURES
from lab.errors import BenchError
from lab.sim.dataset import Dataset
from lab.sim.drift_scripts import Pool

FAULTS: Final = ("blur", "darkness", "flatness", "clipped", "noise", "compression")
CLEAN, DEGRADED = 0.5, 0.65  # quantiles of the fault score below and above which an image counts so


def pool_rows(dataset: Dataset, pool: Pool) -> NDArray[np.int64]:
    """Rows of the questions in `pool`.

    `easy` are the types that the best arm of the board answers best, up to about half of the questions, and
    `hard` the rest. `degraded` are the images whose signals of camera faults stand out most, `clean` least.

    Raises:
        BenchError: the trace has but one type of question, or its images do not differ.
    """
    if pool == "all":
        return np.arange(len(dataset))
    if pool in ("clean", "degraded"):
        return _by_camera(dataset, degraded=pool == "degraded")
    right = dataset.correct[:, dataset.best("local")]
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
        raise BenchError("the trace has one type of question only, so its content cannot be swapped")
    return np.array(rows)


def _by_camera(dataset: Dataset, *, degraded: bool) -> NDArray[np.int64]:
    columns = dataset.matrix[:, [FEATURES.index(name) for name in FAULTS]]
    deviation = columns.std(axis=0)
    if not deviation.any():
        raise BenchError("the trace's images do not differ in any camera fault")
    score = ((columns - columns.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)).max(axis=1)
    if degraded:
        return np.flatnonzero(score >= np.quantile(score, DEGRADED))
    return np.flatnonzero(score <= np.quantile(score, CLEAN))
