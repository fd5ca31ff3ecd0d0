"""Gaussian beliefs over the weights of linear models, one model a row, updated one observation at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller import snapshot
from controller.errors import SnapshotError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]
RECALL_EVERY: Final = 8
CAPACITY: Final = 32  # rows kept of what may never be seen again: peers come from the network


class Beliefs:
    """Models that share their features; a row's model is named, and has mean and covariance of its weights.

    `observe` is recursive least squares with a forgetting factor (Haykin, Adaptive Filter Theory, ch. 10),
    the covariance kept by Sherman and Morrison's formula. Forgetting alone lets the covariance grow without
    bound in directions that are not observed, so updates also recall the prior of one weight, in turn, as a
    pseudo-observation that restores what forgetting took of it: a direction without news returns to its
    prior. That costs as much as an observation, so only every `RECALL_EVERY`th update does it, as many times
    as strongly.

    Args:
        size: number of features d.
        forgetting: share of evidence kept from one observation to the next, in (0, 1].
    """

    def __init__(self, size: int, forgetting: float) -> None:
        self._size = size
        self._forgetting = forgetting
        self._rows: dict[str, int] = {}
        self._mean = np.zeros((CAPACITY, size))
        self._covariance = np.zeros((CAPACITY, size, size))
        self._prior_mean = np.zeros((CAPACITY, size))
        self._prior_variance = np.ones((CAPACITY, size))
        self._turn = [0] * CAPACITY
        self._buffer = np.empty((size, size))
        self._located: tuple[Sequence[str], Rows] = ((), np.zeros(0, dtype=np.intp))

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def add(self, name: str, mean: Vector, variance: Vector, *, keep: Collection[str] = ()) -> None:
        """Begin a row at its prior, mean and variance of shape (d,).

        When many rows are held, the one updated longest ago makes room, unless it is in `keep`.
        """
        row = len(self._rows)
        if row >= CAPACITY:
            oldest = next((held for held in self._rows if held not in keep), None)
            if oldest is not None:
                row = self._rows.pop(oldest)
            elif row == len(self._mean):
                self._grow()
        self._rows[name] = row
        self._located = ((), self._located[1][:0])
        self._mean[row] = self._prior_mean[row] = mean
        self._prior_variance[row] = variance
        self._covariance[row] = np.diag(variance)
        self._turn[row] = 0

    def kin(self, skill: str) -> list[str]:
        """Rows of the same model at other resolutions, where names are skills such as `local/small@96`."""
        model = skill.rpartition("@")[0] + "@"
        return [name for name in self._rows if name.startswith(model) and name != skill]

    def rows(self, names: Sequence[str]) -> Rows:
        """Where `names` stand in what `predictions` returns, until the next `add`."""
        if self._located[0] is not names:
            self._located = (names, np.array([self._rows[name] for name in names], dtype=np.intp))
        return self._located[1]

    def predictions(self, x: Vector) -> tuple[Vector, Vector]:
        """Every row's prediction at features `x`, shape (d,), and its variance; each of shape (rows,)."""
        count = len(self._rows)
        # All rows' covariances below one another make a single product of a tall matrix and a vector.
        reach = (self._covariance[:count].reshape(-1, self._size) @ x).reshape(count, self._size)
        return self._mean[:count] @ x, reach @ x

    @property
    def names(self) -> tuple[str, ...]:
        """Of all rows."""
        return tuple(self._rows)

    def means(self, names: Sequence[str]) -> Matrix:
        """The weights of some rows, shape (names, d)."""
        means: Matrix = self._mean[self.rows(names)]
        return means

    def mean(self, name: str) -> Vector:
        """One row's weights, shape (d,), as they are held: not to be changed."""
        mean: Vector = self._mean[self._rows[name]]
        return mean

    def predict(self, name: str, x: Vector) -> tuple[float, float]:
        """One row's prediction at `x` and its variance."""
        row = self._rows[name]
        return float(self._mean[row] @ x), float(self._covariance[row] @ x @ x)

    def weights(self, feature: int) -> Vector:
        """One weight of every row, shape (rows,)."""
        return self._mean[: len(self._rows), feature]

    def observe(self, name: str, x: Vector, residual: float, precision: float) -> None:
        """Learn that the prediction at `x` was short by `residual`, known with `precision` (1 / variance)."""
        reach = self.reach(name, x)
        self.move(name, reach, float(reach @ x), residual, precision)

    def reach(self, name: str, x: Vector) -> Vector:
        """How far each weight would move with the prediction at `x`: covariance times x, shape (d,)."""
        reach: Vector = self._covariance[self._rows[name]] @ x
        return reach

    def move(self, name: str, reach: Vector, variance: float, residual: float, precision: float) -> None:
        """`observe` where `reach` and the prediction's variance, reach . x, are known; `reach` is used up."""
        row = self._rows.pop(name)
        self._rows[name] = row  # the last in order is the last updated
        covariance = self._covariance[row]
        covariance /= self._forgetting
        reach /= self._forgetting
        share = 1.0 / (1.0 / precision + variance / self._forgetting)
        self._mean[row] += reach * (share * residual)
        self._narrow(covariance, reach, share)
        self._turn[row] = turn = (self._turn[row] + 1) % (self._size * RECALL_EVERY)
        if self._forgetting < 1.0 and turn % RECALL_EVERY == 0:
            self._recall(row, turn // RECALL_EVERY)

    def drift(self, name: str, feature: int, variance: float) -> None:
        """Allow that one weight has wandered by `variance` since the last observation, up to its prior's."""
        row = self._rows[name]
        limit = self._prior_variance[row, feature]
        self._covariance[row, feature, feature] += max(
            0.0, min(variance, limit - self._covariance[row, feature, feature])
        )

    def widen(self, name: str, share: float) -> None:
        """Mix `share` of the prior's uncertainty into a row; what it holds to be likely stays."""
        row = self._rows[name]
        self._covariance[row] *= 1.0 - share
        self._covariance[row] += share * np.diag(self._prior_variance[row])

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON, in the order of the last update."""
        return {
            "rows": {
                name: {
                    "mean": self._mean[row].tolist(),
                    "covariance": self._covariance[row].tolist(),
                    "prior_mean": self._prior_mean[row].tolist(),
                    "prior_variance": self._prior_variance[row].tolist(),
                    "turn": self._turn[row],
                }
                for name, row in self._rows.items()
            }
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot; to be called on a new object.

        Raises:
            SnapshotError: it does not fit.
        """
        for name, kept in snapshot.table(snapshot.part(held, "rows")).items():
            d = self._size
            variance = snapshot.array(kept, "prior_variance", (d,))
            covariance = snapshot.array(kept, "covariance", (d, d))
            turn = int(snapshot.number(kept, "turn"))
            sound = np.linalg.eigvalsh(covariance)[0] >= -1e-9 and (variance > 0).all()
            if not sound or (covariance != covariance.T).any() or not 0 <= turn < d * RECALL_EVERY:
                raise SnapshotError(f"what the snapshot holds of {name!r} is no belief")
            self.add(name, snapshot.array(kept, "prior_mean", (d,)), variance)
            row = self._rows[name]
            self._mean[row] = snapshot.array(kept, "mean", (d,))
            self._covariance[row] = covariance
            self._turn[row] = turn

    def _grow(self) -> None:
        self._mean, self._covariance, self._prior_mean, self._prior_variance = (
            np.concatenate([held, held])
            for held in (self._mean, self._covariance, self._prior_mean, self._prior_variance)
        )
        self._turn += self._turn

    def _recall(self, row: int, i: int) -> None:
        covariance = self._covariance[row]
        lost = RECALL_EVERY * self._size * (1.0 - self._forgetting)
        reach = covariance[i].copy()
        share = 1.0 / (self._prior_variance[row, i] / lost + reach[i])
        self._mean[row] += reach * (share * (self._prior_mean[row, i] - self._mean[row, i]))
        self._narrow(covariance, reach, share)

    def _narrow(self, covariance: Matrix, reach: Vector, share: float) -> None:
        """Take `share` * reach reach' off; it is symmetric to the last bit, so the covariance stays so."""
        root = reach * math.sqrt(share)
        np.multiply(root[:, None], root, out=self._buffer)
        covariance -= self._buffer
