"""Predicts how large an image is when it is sent to an arm, before it is encoded for that arm.

An image that needs no resizing keeps about its size. A smaller one has, at the same quality, about
scale^EXPONENT times the bytes: fewer pixels have more detail each. What the other quality of the encoder adds
is learned as a ratio for each view, because cameras rarely change theirs.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from agent.messages.images import View
from controller import ImageSignals

HEADER_BYTES: Final = 620  # of a JPEG, written by Pillow
EXPONENT: Final = 1.4
FIRST_RATIO: Final = 2.0  # from about quality 75 with colours at half resolution to 90 without
RATE: Final = 0.1
MAX_VIEWS: Final = 256


class ViewSizes:
    """The ratios of the views that were encoded so far."""

    def __init__(self) -> None:
        self._ratios: OrderedDict[View, float] = OrderedDict()
        self._latest = FIRST_RATIO  # for a view that was never encoded, if it is smaller than the image

    def predicted(self, image: ImageSignals, view: View) -> int:
        """Returns the size of `view` of an image in bytes."""
        first = self._latest if _is_smaller(image, view) else 1.0
        return HEADER_BYTES + round(self._ratios.get(view, first) * _expected(image, view))

    def learn(self, image: ImageSignals, view: View, size: int) -> None:
        """Updates the ratio of a view from an image that was encoded to `size` bytes."""
        ratio = max(0, size - HEADER_BYTES) / _expected(image, view)
        before = self._ratios.get(view, ratio)
        self._ratios[view] = before + RATE * (ratio - before)
        self._ratios.move_to_end(view)
        if len(self._ratios) > MAX_VIEWS:
            self._ratios.popitem(last=False)
        if _is_smaller(image, view):
            self._latest = self._ratios[view]


def _is_smaller(image: ImageSignals, view: View) -> bool:
    return 0 < view.resolution < max(image.width, image.height)


def _expected(image: ImageSignals, view: View) -> float:
    scale = view.resolution / max(image.width, image.height) if _is_smaller(image, view) else 1.0
    return max(1.0, (image.bytes - HEADER_BYTES) * math.pow(scale, EXPONENT))
