"""Images in requests: base64 data URLs from untrusted senders, opened with limits on format and size."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image

from inarvl.picture import flat, scale_transparency, turn_of, turned
from vlm.errors import InvalidRequest
from vlm.image_header import MAX_PIXELS, MAX_SCANS, TooManyParts, read_header

FORMATS = ("JPEG", "PNG", "WEBP")


def open_data_url(url: str) -> Image.Image:
    """Opens the image in a data URL; reads only its header.

    Raises:
        InvalidRequest: another kind of URL, invalid base64, or no supported image.
    """
    if not url.startswith("data:"):
        raise InvalidRequest(
            "image_url must be a data URL such as data:image/jpeg;base64,...: the server downloads no image",
            "image_not_data_url",
        )
    head, comma, payload = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise InvalidRequest(
            "the data URL must have the form data:image/jpeg;base64,<base64 of the file>", "image_not_base64"
        )
    try:
        encoded = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "the data URL contains invalid base64; encode the whole file, without line breaks",
            "image_not_base64",
        ) from None
    _check_header(encoded)
    try:
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except MemoryError:
        raise
    except Exception:  # Pillow's readers raise errors of many types on a damaged file
        raise InvalidRequest(
            f"the image cannot be read; send it as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}",
            "image_undecodable",
        ) from None
    _check_size(image.width, image.height)
    scale_transparency(image, encoded)
    return image


def _check_header(encoded: bytes) -> None:
    """Refuses a file that is expensive to open or to decode, by its header."""
    try:
        header = read_header(encoded)
    except TooManyParts:
        raise InvalidRequest(
            "the image file has too many parts; save it again", "image_undecodable"
        ) from None
    if header is None:
        return
    _check_size(header.width, header.height)
    if header.scans > MAX_SCANS:
        raise InvalidRequest(
            f"the image is a JPEG with more than {MAX_SCANS} scans; save it as one that is not progressive",
            "image_too_large",
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InvalidRequest(
            f"the image is {width}x{height} pixels, more than {MAX_PIXELS}; send a smaller one",
            "image_too_large",
        )


def decode(image: Image.Image) -> Image.Image:
    """Decodes an opened image to RGB as a person sees it: upright, on white, 8 bits per channel.

    Raises:
        InvalidRequest: the rest of the file is damaged.
    """
    try:
        return turned(flat(image), turn_of(image)).convert("RGB")
    except MemoryError:
        raise
    except Exception:  # as above
        raise InvalidRequest(
            "the image file is incomplete or damaged; send it again", "image_undecodable"
        ) from None
