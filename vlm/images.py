"""Images as they come in: base64 data URLs, opened with care since anybody may have sent them."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image, ImageOps

from vlm.errors import InvalidRequest

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 64_000_000


def open_data_url(url: str) -> Image.Image:
    """Open the image in a data URL, reading no more than its header.

    Raises InvalidRequest for another kind of URL, broken base64, or bytes that are no image.
    """
    if not url.startswith("data:"):
        raise InvalidRequest(
            "image_url must be a data URL such as data:image/jpeg;base64,...: this server fetches nothing",
            "image_not_data_url",
        )
    head, comma, payload = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise InvalidRequest(
            "the data URL must read data:image/jpeg;base64,<base64 of the file>", "image_not_base64"
        )
    try:
        encoded = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "the data URL's base64 is broken; encode the whole file, without line breaks", "image_not_base64"
        ) from None
    try:
        picture = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InvalidRequest(
            f"the image cannot be read; send one of {', '.join(FORMATS)}", "image_undecodable"
        ) from None
    if picture.width * picture.height > MAX_PIXELS:
        raise InvalidRequest(
            f"the image is {picture.width}x{picture.height} pixels, over {MAX_PIXELS}; send a smaller one",
            "image_too_large",
        )
    return picture


def decode(picture: Image.Image) -> Image.Image:
    """Decode an opened image to upright RGB. Raises InvalidRequest when the rest of the file is broken."""
    try:
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError):
        raise InvalidRequest(
            "the image file is cut short or damaged; send it again", "image_undecodable"
        ) from None
