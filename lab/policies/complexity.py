"""Routers by the complexity of a question, calibrated offline: INAR-VL-like, and MoA-Off-like thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller import FEATURES, Arm, Context
from lab.policies.rival import Choice, Static
from lab.sim.dataset import Dataset, Matrix

IMAGE = ("blur", "darkness", "flatness", "clipped", "noise", "edges", "entropy", "compression", "pixels")
TEXT = ("words", "clauses", "entities", "how_many", "which", "count", "compare", "spatial", "read")
LEVELS = 4
LINK_ADAPTS = 0.3  # by which share of a threshold a link twice as slow moves it


@dataclass(frozen=True)
class Complexity:
    """Two scores of a question, each a mean of signals ranked against the tuning half's."""

    image: Matrix
    text: Matrix

    @classmethod
    def fit(cls, tuning: Dataset) -> Complexity:
        """Keeps the tuning half's signals, sorted by feature."""
        sorted_signals = np.sort(tuning.matrix, axis=0)
        return cls(sorted_signals[:, _columns(IMAGE)], sorted_signals[:, _columns(TEXT)])

    def scores(self, signals: Matrix) -> tuple[Matrix, Matrix]:
        """Of rows of signals: image and text complexity, each in [0, 1]."""
        return _ranks(self.image, signals[:, _columns(IMAGE)]), _ranks(self.text, signals[:, _columns(TEXT)])


def _columns(names: tuple[str, ...]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def _ranks(held: Matrix, values: Matrix) -> Matrix:
    below = [np.searchsorted(held[:, i], values[:, i], side="left") for i in range(held.shape[1])]
    upto = [np.searchsorted(held[:, i], values[:, i], side="right") for i in range(held.shape[1])]
    return np.asarray(np.mean((np.array(below) + np.array(upto)) / 2, axis=0) / len(held))


@dataclass(frozen=True)
class QualityTable:
    """Accuracy of each arm by level of image and of text complexity, shape (LEVELS, LEVELS, arms)."""

    complexity: Complexity
    image_edges: Matrix
    text_edges: Matrix
    accuracy: Matrix

    @classmethod
    def fit(cls, tuning: Dataset) -> QualityTable:
        """Counts right answers in each cell; cells with few questions lean on the arm's average."""
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
        """Level of image and of text complexity of rows of signals."""
        image, text = self.complexity.scores(signals)
        return np.searchsorted(self.image_edges, image), np.searchsorted(self.text_edges, text)


class StaticPareto(Static):
    """INAR-VL-like (arXiv 2605.18853): in each cell of complexity the cheapest arm that is good enough.

    Good enough is a share of the cell's best arm's accuracy, all calibrated offline.

    Args:
        asked: signals of the questions by their number.
    """

    def __init__(
        self, table: QualityTable, prices: Matrix, tuning: Dataset, asked: Matrix, share: float
    ) -> None:
        super().__init__()
        self._arms = tuning.arms
        enough = table.accuracy >= share * table.accuracy.max(axis=2, keepdims=True)
        pick = np.where(enough, prices, np.inf).argmin(axis=2)
        cells = table.cells(asked)
        self._picked: list[int] = pick[cells[0], cells[1]].tolist()
        self._risk: list[float] = (1.0 - table.accuracy[cells[0], cells[1], tuning.best("local")]).tolist()

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The cell's arm."""
        return Choice(number, self.preferred(self._arms[self._picked[number]], able), self._risk[number])


class Thresholds(Static):
    """MoA-Off-like (arXiv 2509.16995): the cloud when either modality is complex, else the board.

    Each modality has a threshold, which the state of the link and the board's load move: a slower link keeps
    more on the board, a loaded board sends more away.

    Args:
        asked: signals of the questions by their number.
        quantile: of each modality's complexity on the tuning half, above which a question is complex.
    """

    def __init__(
        self, complexity: Complexity, tuning: Dataset, asked: Matrix, quantile: float, rtt_ms: float
    ) -> None:
        super().__init__()
        image, text = complexity.scores(asked)
        self._image, self._text = image.tolist(), text.tolist()
        known = complexity.scores(tuning.matrix)
        self._at = float(np.quantile(known[0], quantile)), float(np.quantile(known[1], quantile))
        self._rtt_ms = rtt_ms
        self._local, self._cloud = (tuning.arms[tuning.best(tier)] for tier in ("local", "cloud"))

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """By the two thresholds."""
        moved = self._moved(context)
        image, text = self._image[number] - self._at[0], self._text[number] - self._at[1]
        complex_ = image > moved or text > moved
        return Choice(
            number, self.preferred(self._cloud if complex_ else self._local, able), max(image, text)
        )

    def _moved(self, context: Context) -> float:
        links = [option.link for option in context.options if option.link is not None]
        slower = np.log2(max(0.1, (links[0].rtt_ms or self._rtt_ms) / self._rtt_ms)) if links else 0.0
        load = context.device.gpu_load or 0.0
        return float(LINK_ADAPTS * 0.5 * (slower - 2.0 * load))
