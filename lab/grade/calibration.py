"""Cross-validated probabilities that recorded answers are right, from their confidences.

The model is a logistic regression with isotonic calibration, like the controller's own, fitted with
scikit-learn. It is fitted and applied on different groups, so that questions about the same image are never
in both parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from controller import Confidence
from controller.confidence import confidence_features
from lab.errors import BenchError
from lab.trace.trace import Run

FOLDS = 5
Matrix = NDArray[np.float64]


def confidence_matrix(runs: Sequence[Run]) -> Matrix:
    """Returns the controller's features of each answer's confidence, shape (runs, 4); 0 if unknown."""
    return np.array(
        [confidence_features(Confidence(run.margin, run.mean_logprob, run.tokens)) for run in runs]
    ).reshape(-1, 4)


def out_of_fold(x: Matrix, right: NDArray[np.bool_], groups: Sequence[str]) -> Matrix:
    """Returns the probability that each answer is right, from a model that is fitted on other groups.

    Args:
        x: shape (answers, features).
        right: whether each answer is right.
        groups: of each answer.

    Returns:
        Probabilities; all NaN if there are too few groups, or if a part to fit is all right or all wrong.

    Raises:
        BenchError: scikit-learn is not installed.
    """
    try:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GroupKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise BenchError("grading needs scikit-learn: pip install './lab[bench]'") from error
    probability = np.full(len(right), np.nan)
    labels = np.array(groups)
    if len(set(groups)) < 2 * FOLDS:
        return probability
    for train, test in GroupKFold(FOLDS).split(x, groups=labels):
        inner = list(GroupKFold(FOLDS).split(x[train], groups=labels[train]))
        if any(len(set(right[train][part].tolist())) < 2 for part, _ in inner):
            return np.full(len(right), np.nan)
        model = CalibratedClassifierCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            method="isotonic",
            cv=inner,
            ensemble=False,
        )
        with threadpool_limits(1):  # more threads are slower on such small matrices
            probability[test] = model.fit(x[train], right[train]).predict_proba(x[test])[:, 1]
    return probability
