"""Opens images from untrusted senders, with limits on format and size."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from agent.messages.image_formats import is_heif, openable
from agent.messages.query import BadQuery
from vlm.image_header import MAX_PIXELS

# What Pillow's plugins raise on damaged files.
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    AttributeError,
    EOFError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
TOO_LARGE = f"the image has more than {MAX_PIXELS} pixels: send a smaller one"


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Opens an encoded image; what the body does with it may fail on damaged data.

    Raises:
        BadQuery: the image cannot be opened or decoded, or has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=openable()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadQuery("too_large", TOO_LARGE)
            yield image
    except Image.DecompressionBombError:  # far more pixels than MAX_PIXELS
        raise BadQuery("too_large", TOO_LARGE) from None
    except UNREADABLE as error:
        raise BadQuery(
            "bad_image", f"the image cannot be decoded ({_reason(error, data)}): send a whole JPEG or PNG"
        ) from None


def _reason(error: Exception, data: bytes) -> str:
    if not isinstance(error, UnidentifiedImageError):
        return str(error)
    if is_heif(data) and "HEIF" not in openable():
        return "Pillow cannot open this kind of HEIC or AVIF here"
    return f"it is none of {', '.join(openable())}"
