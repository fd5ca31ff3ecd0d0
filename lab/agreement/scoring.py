"""Figures of probabilities against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Judged:
    """One pair with the probability that its answers say the same."""

    same: bool
    p_same: float
    sure: bool
    equal: bool


@dataclass(frozen=True)
class Figures:
    """What a set of judged pairs shows.

    Attributes:
        pairs: how many there are.
        auroc: None if all have the same truth.
        sure: the share that is decided.
        error: the share of those that is wrong; None if none is decided.
        equality_error: the share that equality after normalisation gets wrong.
        ece: the expected calibration error over ten bins of equal width (Naeini et al. 2015).
    """

    pairs: int
    auroc: float | None
    sure: float
    error: float | None
    equality_error: float
    ece: float


def figures(judged: Sequence[Judged]) -> Figures:
    """Returns the figures of at least one pair."""
    decided = [one for one in judged if one.sure]
    wrong = sum((one.p_same > 0.5) != one.same for one in decided)
    return Figures(
        pairs=len(judged),
        auroc=auroc([one.same for one in judged], [one.p_same for one in judged]),
        sure=len(decided) / len(judged),
        error=wrong / len(decided) if decided else None,
        equality_error=sum(one.equal != one.same for one in judged) / len(judged),
        ece=calibration_error([one.same for one in judged], [one.p_same for one in judged]),
    )


def auroc(truth: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Returns the probability that a true one scores above a false one, ties half; None without both.

    >>> auroc([True, False, False], [0.9, 0.9, 0.1])
    0.75
    """
    true = np.array([score for score, same in zip(scores, truth, strict=True) if same])
    false = np.array([score for score, same in zip(scores, truth, strict=True) if not same])
    if not len(true) or not len(false):
        return None
    above = true[:, None] > false[None, :]
    level = true[:, None] == false[None, :]
    return float((above + 0.5 * level).mean())


def calibration_error(truth: Sequence[bool], scores: Sequence[float], bins: int = 10) -> float:
    """Returns the mean distance between probability and frequency, over bins of equal width.

    >>> calibration_error([True, False], [0.9, 0.1])
    0.1
    """
    places = np.minimum((np.array(scores) * bins).astype(int), bins - 1)
    gaps = np.array(scores) - np.array(truth, float)
    return round(float(sum(abs(gaps[places == at].sum()) for at in range(bins)) / len(scores)), 12)
