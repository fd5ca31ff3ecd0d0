"""Makes the image that is sent to an arm: at its resolution, without metadata, and masked for the cloud."""

from __future__ import annotations

from PIL import Image

from agent.messages.images.encoding import encoded, encoded_like
from agent.messages.images.mask import Mask, black_out
from agent.messages.images.normalising import normalise
from agent.messages.images.opening import opened
from inarvl.picture import turn_of, turned


def fit(data: bytes, resolution: int, mask: Mask = (), margin_px: int = 0) -> bytes:
    """Makes an image as a person sees it, with at most `resolution` pixels on its longer side.

    Args:
        resolution: 0 for that of the image.
        mask: what is black in it.
        margin_px: how far beyond the mask it is black too, in pixels of `data`.

    Returns:
        A file encoded from the pixels alone, with nothing else of `data`. It is a JPEG; or a PNG if `data`
        is an opaque PNG that needs no resizing and is not large.

    Raises:
        BadQuery: the image cannot be decoded or has too many pixels.
    """
    data = normalise(data)
    with opened(data) as image:
        turn = None if image.format == "PNG" else turn_of(image)  # `normalise` has turned a PNG
        smaller = bool(resolution) and max(image.size) > resolution
        if smaller and not mask:
            image.draft("RGB", (resolution, resolution))
        seen = image.convert("L" if not smaller and image.mode in ("1", "L") else "RGB")
        if mask:
            seen, turn = turned(seen, turn), None
            black_out(seen, mask, margin_px)
        if smaller:
            seen.thumbnail((resolution, resolution), Image.Resampling.BICUBIC, reducing_gap=None)
        if smaller or turn is not None:
            return encoded(turned(seen, turn))
        return encoded_like(seen, image)
