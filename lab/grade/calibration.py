"""How likely each recorded answer is right, told from its confidence by a model that has not seen it.

A logistic regression with isotonic calibration on top, the shape of the controller's own judge, fitted by
scikit-learn. Both are fitted on other groups than those they are asked about, so that two questions about
the same image never help each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from controller.confidence import confidence_features
from controller.outcome import Confidence
from lab.errors import BenchError
from lab.trace.trace import Run

FOLDS = 5
Matrix = NDArray[np.float64]


def confidence_matrix(runs: Sequence[Run]) -> Matrix:
    """The controller's features of each answer's confidence, shape (runs, 4); 0 where none was told."""
    return np.array(
        [confidence_features(Confidence(run.margin, run.mean_logprob, run.tokens)) for run in runs]
    ).reshape(-1, 4)


def out_of_fold(x: Matrix, right: NDArray[np.bool_], groups: Sequence[str]) -> Matrix:
    """Probability that each is right, by a model fitted on other groups; `x` has shape (answers, features).

    All NaN when there are too few groups, or when some fold's others are all right or all wrong.
    Raises BenchError without scikit-learn.
    """
    try:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GroupKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise BenchError("grading needs scikit-learn; pip install './lab[bench]'") from error
    told = np.full(len(right), np.nan)
    labels = np.array(groups)
    if len(set(groups)) < 2 * FOLDS:
        return told
    for known, asked in GroupKFold(FOLDS).split(x, groups=labels):
        inner = list(GroupKFold(FOLDS).split(x[known], groups=labels[known]))
        if any(len(set(right[known][part].tolist())) < 2 for part, _ in inner):
            return np.full(len(right), np.nan)
        judge = CalibratedClassifierCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            method="isotonic",
            cv=inner,
            ensemble=False,
        )
        with threadpool_limits(1):  # the matrices are too small to share out
            told[asked] = judge.fit(x[known], right[known]).predict_proba(x[asked])[:, 1]
    return told


def calibration_error(probability: Matrix, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error over `bins` of equal width (Guo et al. 2017); NaN when any is unknown.

    >>> calibration_error(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, True, False, True]))
    0.25
    """
    if not len(right) or np.isnan(probability).any():
        return float("nan")
    places = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=probability - right, minlength=bins)
    return round(float(np.abs(gaps).sum() / len(right)), 12)
