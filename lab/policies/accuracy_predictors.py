"""Routers that predict each arm's accuracy from the signals, fitted offline: kNN and matrix factorisation.

Both pick the arm with the greatest predicted accuracy minus price times knob, as in RouterBench (Hu et al.
2024) and RouteLLM (Ong et al. 2024). The factorisation multiplies a vector per arm with a linear map of the
question's signals: a network with one linear hidden layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from controller import Arm, Context
from lab.policies.rival import Choice, Rival
from lab.sim.dataset import Dataset, Matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

NEIGHBOURS, RANK = 40, 8


class Predictor(Protocol):
    """Predicts each arm's probability to be right."""

    def __call__(self, signals: Matrix) -> Matrix:
        """Returns probabilities of shape (questions, arms), from signals of shape (questions, features)."""


def fit_knn(tuning: Dataset) -> Predictor:
    """Fits the mean accuracy among the nearest questions of the tuning half."""
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), KNeighborsRegressor(NEIGHBOURS, weights="distance"))
    return _Fitted(pipeline.fit(tuning.matrix, tuning.correct.astype(float)), probabilities=False)


def fit_factorisation(tuning: Dataset) -> Predictor:
    """Fits a logistic matrix factorisation of rank `RANK`."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    network = MLPClassifier(
        (RANK,), activation="identity", solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0
    )
    with threadpool_limits(1):  # more threads are slower on so little data
        pipeline = make_pipeline(StandardScaler(), network).fit(tuning.matrix, tuning.correct)
    return _Fitted(pipeline, probabilities=True)


class _Fitted:
    def __init__(self, pipeline: Pipeline, *, probabilities: bool) -> None:
        self._pipeline, self._probabilities = pipeline, probabilities

    def __call__(self, signals: Matrix) -> Matrix:
        predict = self._pipeline.predict_proba if self._probabilities else self._pipeline.predict
        return np.asarray(predict(signals), dtype=np.float64)


class PredictedAccuracy(Rival):
    """Maximises predicted accuracy - knob * price over the arms.

    Args:
        predicted: accuracies, shape (questions, arms), one row per question of the workload.
    """

    def __init__(self, predicted: Matrix, prices: Matrix, tuning: Dataset, knob: float) -> None:
        super().__init__()
        self._arms = tuning.arms
        self._values = predicted - knob * prices
        self._risk: list[float] = (1.0 - predicted[:, tuning.best_column("local")]).tolist()

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses the best available arm."""
        values = self._values[number]
        columns = [column for column, arm in enumerate(self._arms) if arm in available]
        return Choice(number, self._arms[max(columns, key=lambda column: values[column])], self._risk[number])
