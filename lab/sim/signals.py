"""Signals that were recorded, used instead of signals computed from an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller import FEATURES, Signals
from controller.looks import Looks


class RecordedSignals(Signals):
    """The vector of a question's signals; the image and text signals behind it are not kept in a trace.

    Args:
        vector: shape (len(FEATURES),), within [-1, 1].
        looks: keys under which the same image or question is recognised again; empty if not recorded.
    """

    def __init__(self, vector: NDArray[np.float64], looks: Looks = ()) -> None:
        values = np.asarray(vector, dtype=np.float64)
        if values.shape != (len(FEATURES),):
            raise ValueError(f"{len(FEATURES)} signals are needed, not {values.shape}")
        values.flags.writeable = False
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "looks", looks)

    def vector(self) -> NDArray[np.float64]:
        """Returns the recorded vector."""
        values: NDArray[np.float64] = object.__getattribute__(self, "_values")
        return values

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
