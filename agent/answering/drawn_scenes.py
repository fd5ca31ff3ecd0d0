"""Whether a picture is like the drawn scenes that the bundled models were trained on.

The signals of drawn scenes are stored as ellipsoids, one for each camera fault and size of the image: the
mean of MEASURES, a matrix that scales them to independent values of variance 1, and the largest distance from
the mean, common to all (Mahalanobis 1936). A picture within one of the ellipsoids is like the scenes.
`python -m lab.training ranges` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from math import log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller import ImageSignals
from vlm import bundled

FILE: Final = bundled.FOLDER / "drawn-scenes.json"
MEASURES: Final = ("brightness", "contrast", "dark", "bright", "sharpness", "noise", "edges", "entropy")
SMALLEST: Final = {"dark": 0.003, "bright": 0.003, "sharpness": 1.0, "noise": 0.3, "edges": 0.003}
"""Added before the logarithm of a signal whose values differ by factors."""


class DrawnScenes:
    """The ellipsoids of the drawn scenes.

    Args:
        means: shape (ellipsoids, measures).
        scalings: shape (ellipsoids, measures, measures).
        limit: the largest distance within an ellipsoid.
    """

    def __init__(self, means: NDArray[np.float64], scalings: NDArray[np.float64], limit: float) -> None:
        self._means = means
        self._scalings = scalings
        self._limit = limit

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DrawnScenes:
        """Reads the content of FILE."""
        kinds = fields["kinds"].values()
        means = np.array([kind["mean"] for kind in kinds], dtype=np.float64)
        scalings = np.array([kind["scaling"] for kind in kinds], dtype=np.float64)
        return cls(means, scalings, float(fields["limit"]))

    def distance(self, signals: ImageSignals) -> float:
        """Returns the distance from the nearest ellipsoid's mean."""
        offsets = measures(signals) - self._means
        scaled = np.einsum("kij,kj->ki", self._scalings, offsets)
        return float(np.sqrt((scaled**2).sum(axis=1).min()))

    def contain(self, signals: ImageSignals) -> bool:
        """Returns whether a picture with these signals is like the drawn scenes."""
        return self.distance(signals) <= self._limit


@cache
def drawn_scenes() -> DrawnScenes:
    """Returns those that come with the bundled models."""
    return DrawnScenes.from_json(json.loads(FILE.read_text()))


def measures(signals: ImageSignals) -> NDArray[np.float64]:
    """Returns the values of MEASURES, shape (measures,); of those in SMALLEST the logarithm."""
    values = {name: float(getattr(signals, name)) for name in MEASURES}
    return np.array(
        [log(value + SMALLEST[name]) if name in SMALLEST else value for name, value in values.items()]
    )
