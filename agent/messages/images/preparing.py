"""Prepares an image for the controller and for every arm, within one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.messages.images.normalising import normalise
from agent.messages.images.resizing import fit
from agent.messages.query import BadQuery
from controller.errors import SignalsError
from controller.image_signals import ImageSignals, image_signals


@dataclass(frozen=True)
class PreparedImage:
    """An image as a person sees it.

    Attributes:
        encoded: the image at full resolution; see `normalise`.
        resized: the image at other resolutions, by the longer side in pixels; see `fit`.
    """

    encoded: bytes
    signals: ImageSignals
    resized: dict[int, bytes]


def prepare(data: bytes, resolutions: Iterable[int]) -> PreparedImage:
    """Decodes an image file, measures it, and encodes it at every resolution.

    Raises:
        BadQuery: the image cannot be decoded or has too many pixels.
    """
    encoded = normalise(data)
    try:
        signals = image_signals(encoded)
    except SignalsError as error:
        raise BadQuery("bad_image", str(error)) from None
    return PreparedImage(
        encoded, signals, {resolution: fit(encoded, resolution) for resolution in resolutions}
    )
