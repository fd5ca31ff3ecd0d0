"""Whether a process leaks memory, file descriptors or threads over a soak."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.memory import CAPACITY
from lab.errors import BenchError

WARM_UP_ANSWERS: Final = 2 * CAPACITY  # then the agent's bounded memories are full and its heap is settled
MIN_ANSWERS: Final = 1000  # in fewer, the heap's ordinary variation hides a leak
MIN_READINGS: Final = 30
MEMORY_PARTS: Final = 40
MAX_DISTANCE: Final = 0.25
COUNT_PARTS: Final = 3
COUNT_PERCENTILE: Final = 10


@dataclass(frozen=True)
class ResourceGrowth:
    """Growth after the first WARM_UP_ANSWERS answers.

    All figures use low readings, because a leak raises these too and a busy machine does not: with more
    queries under way at a time, a process has more memory, descriptors and threads for that time.

    Attributes:
        kb_per_answer: Growth of resident memory, in units of 1024 bytes. The readings are divided into
            MEMORY_PARTS parts with one minimum each; it is the median slope between two minima (Theil-Sen;
            Sen 1968) that are at most MAX_DISTANCE of all answers apart. Most such pairs do not have a
            single step of the heap between them, and all have a leak.
        fds, threads: Growth from the first third of the readings to the last, each represented by its
            percentile COUNT_PERCENTILE.
        answers: Answers over which the growth was measured.
        most_mb: Maximum of resident memory over the whole soak.
    """

    kb_per_answer: float
    fds: float
    threads: float
    answers: int
    most_mb: float

    @classmethod
    def of(cls, file: Path) -> ResourceGrowth | None:
        """Returns the growth in a soak's CSV, or None if the soak is too short to measure it.

        Raises:
            BenchError: The file is not the CSV of a soak.
        """
        with file.open(newline="") as source:
            rows = list(csv.DictReader(source))
        try:
            readings = {
                name: np.array([float(row[name]) for row in rows])
                for name in ("answered", "rss_mb", "fds", "threads")
            }
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"{file} has no readings of a soak: write it with inarvl-bench soak") from None
        answered = readings["answered"]
        warm = answered >= WARM_UP_ANSWERS
        if warm.sum() < MIN_READINGS or answered[-1] < WARM_UP_ANSWERS + MIN_ANSWERS:
            return None
        return cls(
            kb_per_answer=1024 * _slope(*_minima(answered[warm], readings["rss_mb"][warm])),
            fds=_rise(readings["fds"][warm]),
            threads=_rise(readings["threads"][warm]),
            answers=int(answered[-1] - answered[warm][0]),
            most_mb=float(readings["rss_mb"].max()),
        )

    def __str__(self) -> str:
        return (
            f"over the last {self.answers} answers the agent grew by {self.kb_per_answer:+.2f} KiB "
            f"per answer, {self.fds:+g} file descriptors and {self.threads:+g} threads; "
            f"its memory was at most {self.most_mb:.1f} MiB"
        )


def _minima(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the points with the smallest `y` of each of MEMORY_PARTS parts."""
    parts = np.array_split(np.arange(len(x)), min(MEMORY_PARTS, len(x)))
    lowest = [part[np.argmin(y[part])] for part in parts]
    return x[lowest], y[lowest]


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    first, second = np.triu_indices(len(x), 1)
    distance = x[second] - x[first]
    near = (distance > 0) & (distance <= MAX_DISTANCE * (x[-1] - x[0]))
    return float(np.median((y[second] - y[first])[near] / distance[near])) if near.any() else 0.0


def _rise(values: NDArray[np.float64]) -> float:
    size = len(values) // COUNT_PARTS
    first, last = np.percentile([values[:size], values[-size:]], COUNT_PERCENTILE, axis=1)
    return float(last - first)
