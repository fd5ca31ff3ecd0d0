"""Figures of probabilities that two answers say the same, against the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.probabilities import Flags, Floats, auroc, brier_score, calibration_error


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
        ece: the expected calibration error.
        brier: the mean squared error.
    """

    pairs: int
    auroc: float | None
    sure: float
    error: float | None
    equality_error: float
    ece: float
    brier: float


def figures(judged: Sequence[Judged]) -> Figures:
    """Returns the figures of at least one pair."""
    decided = [one for one in judged if one.sure]
    wrong = sum((one.p_same > 0.5) != one.same for one in decided)
    p_same, same = arrays(judged)
    area = auroc(p_same, same)
    return Figures(
        pairs=len(judged),
        auroc=None if math.isnan(area) else area,
        sure=len(decided) / len(judged),
        error=wrong / len(decided) if decided else None,
        equality_error=sum(one.equal != one.same for one in judged) / len(judged),
        ece=calibration_error(p_same, same),
        brier=brier_score(p_same, same),
    )


def arrays(judged: Sequence[Judged]) -> tuple[Floats, Flags]:
    """Returns the probabilities and the truths, shape (pairs,)."""
    return np.array([one.p_same for one in judged]), np.array([one.same for one in judged])
