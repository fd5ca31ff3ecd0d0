"""Routers that predict each arm's accuracy from the signals, fitted offline: kNN and matrix factorisation.

Both pick the arm with the greatest predicted accuracy less its price times the knob, as RouterBench (Hu et
al. 2024) and RouteLLM (Ong et al. 2024) do. The factorisation gives each arm a vector that a linear map of
the question's signals is multiplied with: a network with one linear hidden layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from controller import Arm, Context
from lab.policies.rival import Choice, Static
from lab.sim.dataset import Dataset, Matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

NEIGHBOURS, RANK = 40, 8


class Predictor(Protocol):
    """Tells each arm's chance to be right, shape (questions, arms), from signals."""

    def __call__(self, signals: Matrix) -> Matrix:
        """Of rows of signals."""


def fit_knn(tuning: Dataset) -> Predictor:
    """Mean accuracy among the nearest questions of the tuning half."""
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), KNeighborsRegressor(NEIGHBOURS, weights="distance"))
    return _Fitted(pipeline.fit(tuning.matrix, tuning.correct.astype(float)), probabilities=False)


def fit_factorisation(tuning: Dataset) -> Predictor:
    """Logistic, of rank `RANK`."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    network = MLPClassifier(
        (RANK,), activation="identity", solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0
    )
    with threadpool_limits(1):  # threads lose more than they gain on so little
        pipeline = make_pipeline(StandardScaler(), network).fit(tuning.matrix, tuning.correct)
    return _Fitted(pipeline, probabilities=True)


class _Fitted:
    def __init__(self, pipeline: Pipeline, *, probabilities: bool) -> None:
        self._pipeline, self._probabilities = pipeline, probabilities

    def __call__(self, signals: Matrix) -> Matrix:
        told = self._pipeline.predict_proba if self._probabilities else self._pipeline.predict
        return np.asarray(told(signals), dtype=np.float64)


class ByPrediction(Static):
    """argmax over arms of predicted accuracy - knob * price.

    Args:
        predicted: of the questions by their number, shape (questions, arms).
    """

    def __init__(self, predicted: Matrix, prices: Matrix, tuning: Dataset, knob: float) -> None:
        super().__init__()
        self._arms = tuning.arms
        self._values = predicted - knob * prices
        self._risk: list[float] = (1.0 - predicted[:, tuning.best("local")]).tolist()

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The best of those that can be asked."""
        values = self._values[number]
        columns = [column for column, arm in enumerate(self._arms) if arm in able]
        return Choice(number, self._arms[max(columns, key=lambda column: values[column])], self._risk[number])
