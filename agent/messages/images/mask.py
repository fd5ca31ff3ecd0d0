"""Blacks out the parts of an image that may not leave the board.

1. The mask is drawn at full resolution, on the image as a person sees it, before it is resized: what it
   covers is in no smaller image either.
2. Lossy formats store a pixel together with those around it, so that it leaves a trace in these. The black
   area is larger than the mask by this distance.
"""

from __future__ import annotations

import math
from typing import Final

from PIL import Image, ImageDraw, JpegImagePlugin

Polygon = tuple[tuple[float, float], ...]
"""At least three corners (x, y), as shares of the width and the height, from the left upper corner."""
Mask = tuple[Polygon, ...]

BLOCK_PX: Final = 8  # of a JPEG, in samples of a component; also of those that `encoded` writes
OTHER_BLOCK_PX: Final = 16  # of WebP; AVIF and HEIC choose theirs, most have this size or less
INTERPOLATED_PX: Final = 2  # decoders smooth the colours of a JPEG across the border of a block


def black_out(image: Image.Image, mask: Mask, margin_px: int) -> None:
    """Fills `mask` and everything within `margin_px` of it with black, in place.

    Args:
        image: grey or RGB, at full resolution and upright.
    """
    draw = ImageDraw.Draw(image)
    for polygon in mask:
        corners = [(x * image.width, y * image.height) for x, y in polygon]
        draw.polygon(corners, fill=0)
        draw.line([*corners, corners[0]], fill=0, width=2 * margin_px + 1)
        for x, y in corners:
            draw.ellipse((x - margin_px, y - margin_px, x + margin_px, y + margin_px), fill=0)


def margin_px(source: Image.Image, *, encoded_again: bool) -> int:
    """Returns how far a pixel may leave a trace in others.

    Args:
        source: an image as it came, opened.
        encoded_again: whether it is encoded as JPEG before the mask is drawn.
    """
    margin = 2  # for corners between pixels
    if isinstance(source, JpegImagePlugin.JpegImageFile):
        sampling = [max(across, down) for _, across, down, _ in source.layer]
        margin += _diagonal(BLOCK_PX * max(sampling, default=1)) + INTERPOLATED_PX
    elif source.format != "PNG":
        margin += _diagonal(OTHER_BLOCK_PX) + INTERPOLATED_PX
    return margin + (_diagonal(BLOCK_PX) if encoded_again else 0)


def _diagonal(block_px: int) -> int:
    return math.ceil(math.sqrt(2) * (block_px - 1))
