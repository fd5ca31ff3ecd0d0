"""Routers by the complexity of a question, calibrated offline: INAR-VL-like and MoA-Off-like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller import FEATURES, Arm, Context
from lab.policies.rival import Choice, Rival
from lab.sim.dataset import Dataset, Matrix

IMAGE = ("blur", "darkness", "flatness", "clipped", "noise", "edges", "entropy", "compression", "pixels")
TEXT = ("words", "clauses", "entities", "how_many", "which", "count", "compare", "spatial", "read")
LEVELS = 4
LINK_SHIFT = 0.3  # a link that is twice as slow raises a threshold by half of this


@dataclass(frozen=True)
class Complexity:
    """Two scores of a question: means of its image and text signals, as ranks among the tuning half's."""

    image: Matrix
    text: Matrix

    @classmethod
    def fit(cls, tuning: Dataset) -> Complexity:
        """Sorts the tuning half's signals by feature."""
        sorted_signals = np.sort(tuning.matrix, axis=0)
        return cls(sorted_signals[:, _columns(IMAGE)], sorted_signals[:, _columns(TEXT)])

    def scores(self, signals: Matrix) -> tuple[Matrix, Matrix]:
        """Returns the image and the text complexity of rows of signals, each in [0, 1]."""
        return _ranks(self.image, signals[:, _columns(IMAGE)]), _ranks(self.text, signals[:, _columns(TEXT)])


def _columns(names: tuple[str, ...]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def _ranks(known: Matrix, values: Matrix) -> Matrix:
    below = [np.searchsorted(known[:, i], values[:, i], side="left") for i in range(known.shape[1])]
    up_to = [np.searchsorted(known[:, i], values[:, i], side="right") for i in range(known.shape[1])]
    return np.asarray(np.mean((np.array(below) + np.array(up_to)) / 2, axis=0) / len(known))


@dataclass(frozen=True)
class QualityTable:
    """Accuracy of each arm by level of image and text complexity, shape (LEVELS, LEVELS, arms)."""

    complexity: Complexity
    image_edges: Matrix
    text_edges: Matrix
    accuracy: Matrix

    @classmethod
    def fit(cls, tuning: Dataset) -> QualityTable:
        """Counts right answers per cell; cells with few questions are shrunk towards the arm's average."""
        complexity = Complexity.fit(tuning)
        image, text = complexity.scores(tuning.matrix)
        cuts = np.linspace(0, 1, LEVELS + 1)[1:-1]
        image_edges, text_edges = np.quantile(image, cuts), np.quantile(text, cuts)
        table = cls(complexity, image_edges, text_edges, np.zeros((LEVELS, LEVELS, len(tuning.arms))))
        rows, columns = table.cells(tuning.matrix)
        average = tuning.correct.mean(axis=0)
        for i in range(LEVELS):
            for j in range(LEVELS):
                right = tuning.correct[(rows == i) & (columns == j)]
                table.accuracy[i, j] = (right.sum(axis=0) + 10 * average) / (len(right) + 10)
        return table

    def cells(self, signals: Matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the levels of image and text complexity of rows of signals."""
        image, text = self.complexity.scores(signals)
        return np.searchsorted(self.image_edges, image), np.searchsorted(self.text_edges, text)


class StaticPareto(Rival):
    """INAR-VL-like (arXiv 2605.18853): in each cell of complexity the cheapest arm that is accurate enough.

    Accurate enough is at least `share` of the accuracy of the cell's best arm. All is calibrated offline.

    Args:
        signals: of the workload's questions, shape (questions, features).
    """

    def __init__(
        self, table: QualityTable, prices: Matrix, tuning: Dataset, signals: Matrix, share: float
    ) -> None:
        super().__init__()
        self._arms = tuning.arms
        enough = table.accuracy >= share * table.accuracy.max(axis=2, keepdims=True)
        pick = np.where(enough, prices, np.inf).argmin(axis=2)
        cells = table.cells(signals)
        self._picked: list[int] = pick[cells[0], cells[1]].tolist()
        self._risk: list[float] = (
            1.0 - table.accuracy[cells[0], cells[1], tuning.best_column("local")]
        ).tolist()

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses the cell's arm."""
        return Choice(
            number, self.nearest_available(self._arms[self._picked[number]], available), self._risk[number]
        )


class Thresholds(Rival):
    """MoA-Off-like (arXiv 2509.16995): the cloud if the image or the text is complex, else the board.

    Image and text have a threshold each. A slower link raises the thresholds, so that the board answers more;
    load on the board lowers them.

    Args:
        signals: of the workload's questions, shape (questions, features).
        quantile: quantile of the tuning half's complexities that is the threshold.
    """

    def __init__(
        self, complexity: Complexity, tuning: Dataset, signals: Matrix, quantile: float, rtt_ms: float
    ) -> None:
        super().__init__()
        image, text = complexity.scores(signals)
        self._image, self._text = image.tolist(), text.tolist()
        known = complexity.scores(tuning.matrix)
        self._at = float(np.quantile(known[0], quantile)), float(np.quantile(known[1], quantile))
        self._rtt_ms = rtt_ms
        self._local, self._cloud = (tuning.arms[tuning.best_column(tier)] for tier in ("local", "cloud"))

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses by the two thresholds."""
        shift = self._shift(context)
        image, text = self._image[number] - self._at[0], self._text[number] - self._at[1]
        complex_ = image > shift or text > shift
        return Choice(
            number,
            self.nearest_available(self._cloud if complex_ else self._local, available),
            max(image, text),
        )

    def _shift(self, context: Context) -> float:
        links = [option.link for option in context.options if option.link is not None]
        slower = np.log2(max(0.1, (links[0].rtt_ms or self._rtt_ms) / self._rtt_ms)) if links else 0.0
        load = context.device.gpu_load or 0.0
        return float(LINK_SHIFT * 0.5 * (slower - 2.0 * load))
