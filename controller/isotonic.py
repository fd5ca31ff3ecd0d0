"""Isotonic calibration over a bounded window of labels."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from controller import snapshot
from controller.errors import SnapshotError
from controller.logistic import sigmoids

WINDOW: Final = 500
GRID, LOGITS = 12, 5.0  # imagined labels, and how far apart the outer ones are of even odds
REFIT_SHARE: Final = 16  # a fit serves until the labels have grown by a sixteenth


class Isotonic:
    """Maps a score in [0, 1] to the share of labels that are 1 at it, never falling as the score rises.

    Pool-adjacent-violators (Ayer et al. 1955; on classifier scores Zadrozny and Elkan 2002), interpolated
    between the blocks' centres. Imagined labels of total weight `strength`, spread evenly over logits and
    equal to their scores, hold the map at the identity until real ones outweigh them. Of the real ones'
    weights only the proportions count.
    """

    def __init__(self, strength: float) -> None:
        scores = sigmoids(np.linspace(-LOGITS, LOGITS, GRID)).tolist()
        self._imagined = [(score, score, strength / GRID) for score in scores]
        self._labels: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)
        self._unfitted = 0
        self._fit()

    def __call__(self, score: float) -> float:
        """The calibrated share at `score`."""
        return float(np.interp(score, self._scores, self._shares))

    def __len__(self) -> int:
        return len(self._labels)

    def learn(self, score: float, label: float, weight: float) -> None:
        """Take in a label in [0, 1] that counts `weight` times."""
        self._labels.append((score, label, weight))
        self._unfitted += 1
        if self._unfitted * REFIT_SHARE >= len(self._labels):
            self._fit()

    def forget(self, keep: int) -> None:
        """Drop all labels but the newest `keep`."""
        while len(self._labels) > keep:
            self._labels.popleft()
        self._fit()

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {
            "labels": [list(label) for label in self._labels],
            "unfitted": self._unfitted,
            "scores": self._scores.tolist(),
            "shares": self._shares.tolist(),
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        labels = snapshot.array(held, "labels", (-1, 3))
        scores = snapshot.array(held, "scores", (-1,))
        shares = snapshot.array(held, "shares", scores.shape)
        if not scores.size or (np.diff(scores) < 0).any() or (np.diff(shares) < 0).any():
            raise SnapshotError("the snapshot's calibration falls")
        self._labels.clear()
        self._labels.extend((score, label, weight) for score, label, weight in labels.tolist())
        self._unfitted = int(snapshot.number(held, "unfitted"))
        self._scores, self._shares = scores, shares

    def _fit(self) -> None:
        self._unfitted = 0
        pooled: list[tuple[float, float, float]] = []  # sums of weight, weighted labels, weighted scores
        mean_weight = sum(weight for _, _, weight in self._labels) / max(1, len(self._labels)) or 1.0
        real = [(score, label, weight / mean_weight) for score, label, weight in self._labels]
        for score, label, weight in sorted([*self._imagined, *real]):
            total, labels, scores = weight, weight * label, weight * score
            while pooled and pooled[-1][1] * total >= labels * pooled[-1][0]:
                before = pooled.pop()
                total, labels, scores = total + before[0], labels + before[1], scores + before[2]
            pooled.append((total, labels, scores))
        self._scores = np.array([scores / total for total, _, scores in pooled])
        self._shares = np.array([labels / total for total, labels, _ in pooled])
