"""The image of a query: fetched, checked and fitted to an arm's resolution."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from agent.messages.query import BadQuery, Query

JPEG_QUALITY = 90
MOST_PIXELS = 64_000_000


def load(query: Query, roots: Sequence[Path], max_bytes: int) -> bytes:
    """The encoded image of `query`, read from disk when it names a file.

    Raises:
        BadQuery: the file may not be read, is missing or too large.
    """
    if query.image is not None:
        return query.image
    assert query.image_path is not None, "a query has one of image and image_path"
    path = query.image_path.resolve()
    if not any(path.is_relative_to(root.resolve()) for root in roots):
        raise BadQuery(
            "image_not_allowed", "image_url is outside image_roots: add its folder there, or send the image"
        )
    try:
        if path.stat().st_size > max_bytes:
            raise BadQuery(
                "too_large", f"the file of image_url has over {max_bytes} bytes: send a smaller one"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadQuery("bad_image", f"the file of image_url cannot be read ({error.strerror})") from None


def fit(data: bytes, resolution: int) -> bytes:
    """`data` as a JPEG whose longest side has `resolution` pixels at most; as it is for 0 or when it fits.

    Raises:
        BadQuery: it cannot be decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadQuery(
                        "too_large", f"the image has over {MOST_PIXELS} pixels: send a smaller one"
                    )
                if not resolution or max(image.size) <= resolution:
                    image.load()
                    return data
                image.draft("RGB", (resolution, resolution))
                small = image.convert("RGB")
                small.thumbnail((resolution, resolution), Image.Resampling.BICUBIC, reducing_gap=None)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning) as error:
            raise BadQuery(
                "bad_image", f"the image cannot be decoded ({error}): send a whole JPEG or PNG"
            ) from None
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return encoded.getvalue()
