"""Predicts whether each arm is right, before it is asked and after an answer of the board.

The classifiers are fitted offline to the right answers: a logistic regression or boosted trees for each arm
from the signals, and for each arm of the board, from the signals and its confidence, one for its own answer
and one for the answer that each cloud arm would give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lab.sim.dataset import Dataset, Matrix

Forecasting = Literal["logistic", "boosted"]
FOLDS = 4
NEAR = 1e-4  # probabilities stay this far from 0 and 1
UNKNOWN = (0.5, -1.0, 3.0)  # margin, mean log-probability and tokens of an answer without them


@dataclass(frozen=True)
class Forecasts:
    """Probabilities that answers are right.

    Attributes:
        before: shape (questions, arms).
        kept: of each local arm's answer, given its confidence; shape (questions, local arms).
        asked: of each cloud arm, given a local arm's confidence; shape (questions, local arms, cloud arms).
    """

    before: Matrix
    kept: Matrix
    asked: Matrix


class Classifier(Protocol):
    """Predicts probabilities of shape (rows,) from features of shape (rows, features)."""

    def __call__(self, features: Matrix) -> Matrix:
        """Returns the probabilities."""


class AnswerForecaster:
    """The classifiers, fitted to all questions of a dataset."""

    def __init__(self, dataset: Dataset, kind: Forecasting) -> None:
        local, cloud = dataset.columns_of("local"), dataset.columns_of("cloud")

        def fitted(features: Matrix, column: int) -> Classifier:
            return _fit(features, dataset.correct[:, column], kind)

        self._before = [fitted(dataset.matrix, column) for column in range(len(dataset.arms))]
        after = [_with_confidence(dataset, column) for column in local]
        self._kept = [fitted(features, column) for features, column in zip(after, local, strict=True)]
        self._asked = [[fitted(features, column) for column in cloud] for features in after]

    def __call__(self, dataset: Dataset) -> Forecasts:
        """Returns the forecasts for the questions of a dataset; its first arms must be those fitted."""
        after = [_with_confidence(dataset, column) for column in dataset.columns_of("local")]
        return Forecasts(
            np.column_stack([classify(dataset.matrix) for classify in self._before]),
            np.column_stack([classify(x) for classify, x in zip(self._kept, after, strict=True)]),
            np.stack(
                [
                    np.column_stack([classify(x) for classify in row])
                    for row, x in zip(self._asked, after, strict=True)
                ],
                axis=1,
            ),
        )


def cross_fitted(dataset: Dataset, kind: Forecasting) -> Forecasts:
    """Returns forecasts for a dataset's own questions, each by classifiers that did not see its group."""
    from sklearn.model_selection import GroupKFold

    folds = min(FOLDS, len(set(dataset.groups)))
    rows = np.arange(len(dataset))
    parts: list[tuple[NDArray[np.int64], Forecasts]] = []
    for others, held_out in GroupKFold(folds).split(rows, groups=dataset.groups):
        parts.append((held_out, AnswerForecaster(dataset.select(others), kind)(dataset.select(held_out))))
    order = np.argsort(np.concatenate([held_out for held_out, _ in parts]))
    return Forecasts(
        *(
            np.concatenate([getattr(forecasts, name) for _, forecasts in parts])[order]
            for name in ("before", "kept", "asked")
        )
    )


def _with_confidence(dataset: Dataset, column: int) -> Matrix:
    """Returns the signals and the confidence of an arm's answers."""
    confidences = np.array(
        [
            [
                UNKNOWN[0] if c.first_token_margin is None else c.first_token_margin,
                UNKNOWN[1] if c.mean_logprob is None else c.mean_logprob,
                UNKNOWN[2] if c.tokens is None else c.tokens,
            ]
            for c in (row[column] for row in dataset.confidences)
        ]
    )
    margin, logprob = confidences[:, 0].clip(NEAR, 1 - NEAR), confidences[:, 1]
    return np.column_stack(
        [dataset.matrix, confidences, np.log(margin / (1 - margin)), np.log(NEAR - np.minimum(logprob, 0.0))]
    )


def _fit(features: Matrix, right: NDArray[np.bool_], kind: Forecasting) -> Classifier:
    if right.all() or not right.any():
        constant = float(np.clip(right.mean(), NEAR, 1 - NEAR))
        return lambda rows: np.full(len(rows), constant)
    model = MAKERS[kind]().fit(features, right)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1].clip(NEAR, 1 - NEAR), dtype=np.float64)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.3, solver="newton-cholesky"))


def _boosted() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=50, learning_rate=0.1, max_leaf_nodes=6, min_samples_leaf=30, random_state=0
    )


MAKERS: dict[Forecasting, Callable[[], Any]] = {"logistic": _logistic, "boosted": _boosted}
