"""Figures of probabilities, and of other scores, against what is true."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """The probabilities from `low` up to `high`: how many, their mean, and the share that came true."""

    low: float
    high: float
    count: int
    mean: float
    share: float


def auroc(score: Floats, positive: Flags) -> float:
    """Returns the probability that a positive has a higher score than a negative; ties count half.

    Entries without a score (NaN) are skipped. NaN if there are no positives or no negatives.

    >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    scored = ~np.isnan(score)
    score, positive = score[scored], positive[scored]
    count = int(positive.sum())
    if not 0 < count < len(positive):
        return math.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def brier_score(probability: Floats, true: Flags) -> float:
    """Returns the mean squared error of the probabilities (Brier 1950); NaN if there are none.

    >>> brier_score(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    return float(np.mean((probability - true) ** 2)) if len(true) else math.nan


def calibration_error(probability: Floats, true: Flags) -> float:
    """Returns the expected calibration error (Naeini et al. 2015); NaN if any probability is unknown.

    >>> calibration_error(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, True, False, True]))
    0.25
    """
    if not len(true) or np.isnan(probability).any():
        return math.nan
    gaps = sum(found.count * abs(found.mean - found.share) for found in reliability(probability, true))
    return round(gaps / len(true), 12)


def reliability(probability: Floats, true: Flags) -> list[Bin]:
    """Returns the bins of equal width that are not empty (the points of a reliability diagram)."""
    places = np.minimum((probability * BINS).astype(int), BINS - 1)
    return [
        Bin(
            at / BINS,
            (at + 1) / BINS,
            int(within.sum()),
            float(probability[within].mean()),
            float(true[within].mean()),
        )
        for at in range(BINS)
        if (within := places == at).any()
    ]
