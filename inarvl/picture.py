"""What a person sees of a decoded image: upright, on white, grey or RGB with 8 bits per channel."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from PIL import ExifTags, Image, ImageChops

# What Pillow's plugins raise on damaged files.
UNREADABLE: Final = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    ZeroDivisionError,
    struct.error,
    Image.DecompressionBombError,
)
TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PNG_DEPTH_AT: Final = 24  # offset of the bit depth in a PNG file: signature, then the chunk IHDR


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Returns the turn that makes an image upright, by its EXIF orientation.

    Returns None if it is upright, or if the orientation is missing or invalid.
    """
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except UNREADABLE:  # the image may be readable although its EXIF data is not
        return None


def turned(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """Returns the image after a turn, if there is one."""
    return image if turn is None else image.transpose(turn)


def scale_transparency(image: Image.Image, data: bytes) -> None:
    """Scales the transparent colour of a PNG to 8 bits, as Pillow does with the pixels alone.

    Args:
        image: as opened from `data`; to be called once.
        data: the encoded image, of any format.
    """
    if image.format != "PNG":
        return
    depth, transparent = data[PNG_DEPTH_AT], image.info.get("transparency")
    if image.mode == "L" and isinstance(transparent, int) and depth < 8:
        image.info["transparency"] = transparent * 255 // (2**depth - 1)
    elif image.mode == "RGB" and isinstance(transparent, tuple) and depth == 16:
        image.info["transparency"] = tuple(level >> 8 for level in transparent)


def flat(image: Image.Image) -> Image.Image:
    """Decodes an opened image to grey or RGB with 8 bits per channel, on white; does not turn it.

    Args:
        image: after `scale_transparency`.
    """
    image.load()
    if image.mode == "CMYK":
        # Pillow inverts every CMYK JPEG, as Adobe's need it; others store 0 for no ink.
        return (image if "adobe" in image.info else ImageChops.invert(image)).convert("RGB")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        visible = image.convert("RGBA")
        white = Image.new("RGB", visible.size, "white")
        white.paste(visible, mask=visible.getchannel("A"))
        return white
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scales grey of 16 bits to 8, where Pillow would clip it."""
    levels = np.asarray(image).astype(np.uint32).clip(0, 65535)
    scaled = ((levels * 255 + 32767) // 65535).astype(np.uint8)
    if (transparent := image.info.get("transparency")) is not None:
        scaled[levels == transparent] = 255
    return Image.fromarray(scaled)
