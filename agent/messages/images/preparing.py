"""Prepares an image for the controller and for every arm, within one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.messages.images import jpeg_file
from agent.messages.images.mask import Mask, margin_px
from agent.messages.images.normalising import normalise
from agent.messages.images.opening import opened
from agent.messages.images.resizing import fit
from agent.messages.query import BadQuery
from controller.errors import SignalsError
from controller.image_signals import ImageSignals, image_signals


class View(NamedTuple):
    """What an arm gets of an image.

    Attributes:
        resolution: of the longer side in pixels, at most; 0 for that of the image.
        mask: what is black in it.
    """

    resolution: int
    mask: Mask = ()


@dataclass(frozen=True)
class PreparedImage:
    """An image as a person sees it.

    Attributes:
        encoded: the image at full resolution, which stays on the board; see `normalise`.
        signals: of the whole image, without a mask.
        margin_px: how far beyond a mask it must be black.
        views: what arms get; see `fit`.
    """

    encoded: bytes
    signals: ImageSignals
    margin_px: int
    views: dict[View, bytes]


def prepare(data: bytes, views: Iterable[View], least_margin_px: int = 0) -> PreparedImage:
    """Decodes an image file, measures it, and encodes what arms get of it.

    Args:
        least_margin_px: `margin_px` of the image that `data` was made from.

    Raises:
        BadQuery: the image cannot be decoded or has too many pixels.
    """
    repaired = jpeg_file.repaired(data)
    encoded = normalise(repaired)
    try:
        signals = image_signals(encoded)
    except SignalsError as error:
        raise BadQuery("bad_image", str(error)) from None
    with opened(repaired) as source:
        margin = max(least_margin_px, margin_px(source, encoded_again=encoded is not repaired))
    made = {view: fit(encoded, view.resolution, view.mask, margin) for view in views}
    return PreparedImage(encoded, signals, margin, made)
