"""Loads the image of a query, and resizes it to an arm's resolution."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from agent.messages.query import BadQuery, Query

JPEG_QUALITY = 90
MAX_PIXELS = 64_000_000


def load(query: Query, roots: Sequence[Path], max_bytes: int) -> bytes:
    """Returns the encoded image of `query`, from its file if it names one.

    Args:
        roots: folders from which files may be read.
        max_bytes: size limit of a file.

    Raises:
        BadQuery: the file is outside the roots, cannot be read, or is too large.
    """
    if query.image is not None:
        return query.image
    assert query.image_path is not None, "a query has one of image and image_path"
    path = query.image_path.resolve()
    if not any(path.is_relative_to(root.resolve()) for root in roots):
        raise BadQuery(
            "image_not_allowed",
            "image_url is outside image_roots: add its folder there, or send the image itself",
        )
    try:
        if path.stat().st_size > max_bytes:
            raise BadQuery(
                "too_large", f"the file at image_url has more than {max_bytes} bytes: use a smaller one"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadQuery(
            "bad_image",
            f"the file at image_url cannot be read ({error.strerror}): check its path and permissions",
        ) from None


def fit(data: bytes, resolution: int) -> bytes:
    """Resizes an image to a JPEG with at most `resolution` pixels on its longer side.

    Returns `data` unchanged if `resolution` is 0 or the image is small enough.

    Raises:
        BadQuery: the image cannot be decoded or has too many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BadQuery(
                        "too_large", f"the image has more than {MAX_PIXELS} pixels: send a smaller one"
                    )
                if not resolution or max(image.size) <= resolution:
                    image.load()
                    return data
                image.draft("RGB", (resolution, resolution))
                resized = image.convert("RGB")
                resized.thumbnail((resolution, resolution), Image.Resampling.BICUBIC, reducing_gap=None)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning) as error:
            raise BadQuery(
                "bad_image", f"the image cannot be decoded ({error}): send a whole JPEG or PNG"
            ) from None
    encoded = io.BytesIO()
    resized.save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return encoded.getvalue()
