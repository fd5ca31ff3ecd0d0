"""Signals that were recorded, in place of ones read from an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.looks import Looks
from controller.signals import FEATURES, Signals


class RecordedSignals(Signals):
    """The vector that a question's signals made; what it was made from is not known any more.

    Args:
        vector: shape (len(FEATURES),), within [-1, 1].
        looks: names under which the same may be met again; none where they were not recorded.
    """

    def __init__(self, vector: NDArray[np.float64], looks: Looks = ()) -> None:
        held = np.asarray(vector, dtype=np.float64)
        if held.shape != (len(FEATURES),):
            raise ValueError(f"{len(FEATURES)} signals are needed, not {held.shape}")
        held.flags.writeable = False
        object.__setattr__(self, "_held", held)
        object.__setattr__(self, "looks", looks)

    def vector(self) -> NDArray[np.float64]:
        """The recorded vector."""
        held: NDArray[np.float64] = object.__getattribute__(self, "_held")
        return held

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RecordedSignals)
            and np.array_equal(self.vector(), other.vector())
            and self.looks == other.looks
        )

    def __hash__(self) -> int:
        return hash(self.vector().tobytes())

    def __repr__(self) -> str:
        return f"RecordedSignals({self.vector().round(3).tolist()})"
