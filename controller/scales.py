"""Named running averages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from controller import snapshot
from controller.beliefs import Vector
from controller.errors import SnapshotError

CAPACITY: Final = 64  # names come from the network


class Scales:
    """Exponentially forgetting averages within bounds, by name; `initial` where nothing was learned.

    The first observations weigh more: the n-th moves the average by at least 1 / (n + 2).

    >>> scales = Scales(initial=0.0, low=-1.0, high=1.0)
    >>> scales.learn("a", 3.0, rate=0.1)
    >>> scales["a"], scales["b"]
    (0.5, 0.0)
    """

    def __init__(self, *, initial: float, low: float, high: float) -> None:
        self._initial, self._low, self._high = initial, low, high
        self._held: dict[str, tuple[float, int]] = {}

    def __getitem__(self, name: str) -> float:
        held = self._held.get(name)
        return self._initial if held is None else held[0]

    def several(self, names: Sequence[str]) -> Vector:
        """The averages of some names, shape (names,)."""
        held, initial = self._held, self._initial
        return np.array([held[name][0] if name in held else initial for name in names])

    def learn(self, name: str, value: float, *, rate: float) -> None:
        """Move the average towards `value`, cut to the bounds, by `rate` once it has settled."""
        average, seen = self._held.pop(name, (self._initial, 0))
        if len(self._held) >= CAPACITY:
            self._held.pop(next(iter(self._held)))
        value = max(self._low, min(self._high, value))
        step = max(rate, 1.0 / (seen + 2.0))
        self._held[name] = (average + step * (value - average), min(seen + 1, 1_000_000))

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {name: {"average": average, "seen": seen} for name, (average, seen) in self._held.items()}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError; to be called on a new object."""
        for name, kept in snapshot.table(held).items():
            average = snapshot.number(kept, "average")
            if not self._low <= average <= self._high:
                raise SnapshotError(f"the snapshot's average of {name!r} is out of bounds")
            self._held[name] = (average, int(snapshot.number(kept, "seen")))
