"""Whether a process came to hold more over a soak."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.memory import CAPACITY
from lab.errors import BenchError

FILLING: Final = 2 * CAPACITY  # answers after which what the agent remembers is full, and its heap settled
LEAST_ANSWERS: Final = 1000  # fewer make much of a heap's breathing
LEAST_READINGS: Final = 30
PARTS: Final = 3


@dataclass(frozen=True)
class Growth:
    """What the readings after the first FILLING answers tell.

    Attributes:
        kb_per_answer: of resident memory, in units of 1024 bytes: the median slope between any two readings
            (Theil-Sen; Sen 1968), which a heap that grows or shrinks by a step does not sway.
        fds, threads: by how much the median of the last third is above that of the first.
        answers: how many were given meanwhile.
        most_mb: of resident memory, over the whole soak.
    """

    kb_per_answer: float
    fds: float
    threads: float
    answers: int
    most_mb: float

    @classmethod
    def of(cls, file: Path) -> Growth | None:
        """The growth told by a soak's CSV; None when it was too short to tell.

        Raises:
            BenchError: it is no such file.
        """
        with file.open(newline="") as source:
            rows = list(csv.DictReader(source))
        try:
            held = {
                name: np.array([float(row[name]) for row in rows])
                for name in ("answered", "rss_mb", "fds", "threads")
            }
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"{file} has no readings of a soak: write one with inarvl-bench soak") from None
        answered = held["answered"]
        filled = answered >= FILLING
        if filled.sum() < LEAST_READINGS or answered[-1] < FILLING + LEAST_ANSWERS:
            return None
        return cls(
            kb_per_answer=1024 * _slope(answered[filled], held["rss_mb"][filled]),
            fds=_rise(held["fds"][filled]),
            threads=_rise(held["threads"][filled]),
            answers=int(answered[-1] - answered[filled][0]),
            most_mb=float(held["rss_mb"].max()),
        )

    def __str__(self) -> str:
        return (
            f"over the last {self.answers} answers the agent grew by {self.kb_per_answer:+.2f} KiB "
            f"each, {self.fds:+g} descriptors and {self.threads:+g} threads; "
            f"it held {self.most_mb:.1f} MiB at most"
        )


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    one, other = np.triu_indices(len(x), 1)
    apart = x[other] - x[one]
    some = apart > 0
    return float(np.median((y[other] - y[one])[some] / apart[some])) if some.any() else 0.0


def _rise(values: NDArray[np.float64]) -> float:
    part = len(values) // PARTS
    return float(np.median(values[-part:]) - np.median(values[:part]))
