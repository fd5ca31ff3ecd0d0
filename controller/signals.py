"""Everything that is seen of a question before any model runs, as one vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.errors import SignalsError
from controller.image_signals import ImageSignals, image_signals
from controller.looks import Looks, looks_of
from controller.text_signals import TextSignals, text_signals
from controller.wording import PLACES

__all__ = [
    "FEATURES",
    "ImageSignals",
    "Signals",
    "SignalsError",
    "TextSignals",
    "image_signals",
    "text_signals",
]

FEATURES: Final = (
    "blur",
    "darkness",
    "flatness",
    "clipped",
    "noise",
    "edges",
    "entropy",
    "compression",
    "bits_per_pixel",
    "pixels",
    "words",
    "clauses",
    "entities",
    "yes_no",
    "how_many",
    "what",
    "which",
    "where_who_why",
    "count",
    "compare",
    "spatial",
    "read",
    "colour",
    *(f"wording_{place}" for place in range(PLACES)),
)
BEST_JPEG: Final = 95.0


@dataclass(frozen=True)
class Signals:
    """The signals of one question with its image."""

    image: ImageSignals
    text: TextSignals

    def vector(self) -> NDArray[np.float64]:
        """All of them, named by `FEATURES`; read-only, computed once.

        Each is within [0, 1], those of the wording within [-1, 1].
        """
        return self._vector

    @cached_property
    def looks(self) -> Looks:
        """Names under which the same may have been met before; none where no image was read."""
        return looks_of(self.image.picture, self.image.scene, self.text.wording) if self.image.picture else ()

    @cached_property
    def _vector(self) -> NDArray[np.float64]:
        image, text = self.image, self.text
        quality = BEST_JPEG if image.jpeg_quality is None else image.jpeg_quality
        values = (
            1 / (1 + image.sharpness / 10),
            (1 - image.brightness) ** 2,
            1 / (1 + 10 * image.contrast),
            image.dark + image.bright,
            image.noise / (image.noise + 10),
            image.edges,
            image.entropy / 8,
            1 - quality / 100,
            image.bits_per_pixel / (image.bits_per_pixel + 2),
            log2(max(1.0, image.width * image.height / 2**12)) / 15,
            text.words / (text.words + 10),
            text.clauses / (text.clauses + 2),
            text.entities / (text.entities + 2),
            text.kind == "yes_no",
            text.kind == "how_many",
            text.kind == "what",
            text.kind == "which",
            text.kind in ("where", "who", "why"),
            text.count,
            text.compare,
            text.spatial,
            text.read,
            text.colour,
            *text.wording,
        )
        vector = np.array(values, dtype=np.float64).clip(-1.0, 1.0)
        vector.flags.writeable = False
        return vector
