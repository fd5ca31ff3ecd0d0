"""Resizes an image to an arm's resolution."""

from __future__ import annotations

from PIL import Image

from agent.messages.images.normalising import encoded, normalise
from agent.messages.images.opening import opened
from inarvl.picture import turn_of, turned


def fit(data: bytes, resolution: int) -> bytes:
    """Makes an image as a person sees it, with at most `resolution` pixels on its longer side.

    Returns:
        A JPEG. If `resolution` is 0 or the image is small enough, `normalise(data)` if that is upright.

    Raises:
        BadQuery: the image cannot be decoded or has too many pixels.
    """
    data = normalise(data)
    with opened(data) as image:
        turn = None if image.format == "PNG" else turn_of(image)  # `normalise` has turned a PNG
        if resolution and max(image.size) > resolution:
            image.draft("RGB", (resolution, resolution))
            seen = image.convert("RGB")
            seen.thumbnail((resolution, resolution), Image.Resampling.BICUBIC, reducing_gap=None)
        elif turn is None:
            image.draft(None, (1, 1))  # all data is read, which finds damage, and few pixels are computed
            image.load()
            return data
        else:
            seen = image.convert("L" if image.mode == "L" else "RGB")
        return encoded(turned(seen, turn))
