"""Makes an image as a person sees it: upright, on white, with 8 bits per channel."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageChops, JpegImagePlugin

from agent.messages.images import jpeg_file
from agent.messages.images.opening import opened
from controller.image_signals import turn_of

JPEG_QUALITY = 90
PNG_DEPTH_AT = 24  # offset of the bit depth in a PNG file: signature, then the chunk IHDR
# Where Pillow finds the orientation of a PNG before the pixels; a chunk eXIf may also come after them.
PNG_ORIENTATION = {"exif", "Raw profile type exif", "XML:com.adobe.xmp"}


def normalise(data: bytes) -> bytes:
    """Makes an image one that every model server decodes to what a person sees.

    Returns:
        A JPEG, grey or RGB, whose EXIF orientation `fit` applies; or a PNG that is upright and has no
        transparency. This is `data` unchanged if it is so already, and without a second loss of quality if
        only the file of a JPEG needed a repair. Anything else is decoded and encoded as JPEG.

    Raises:
        BadQuery: the image cannot be decoded or has too many pixels.
    """
    data = jpeg_file.repaired(data)
    with opened(data) as image:
        if _is_plain(image, data):
            return data
        return encoded(turned(_flat(image, data), turn_of(image)))


def encoded(image: Image.Image) -> bytes:
    """Returns a grey or RGB image as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def turned(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """Returns the image after a turn, if there is one."""
    return image if turn is None else image.transpose(turn)


def _is_plain(image: Image.Image, data: bytes) -> bool:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return image.mode in ("L", "RGB")
    if image.format != "PNG" or image.mode not in ("1", "L", "P", "RGB") or "transparency" in image.info:
        return False
    if not PNG_ORIENTATION & image.info.keys() and b"eXIf" not in data:
        return True
    image.load()
    return turn_of(image) is None


def _flat(image: Image.Image, data: bytes) -> Image.Image:
    """Decodes to grey or RGB with 8 bits per channel, on white."""
    image.load()
    if image.mode == "CMYK":
        # Pillow inverts every CMYK JPEG, as Adobe's need it; others store 0 for no ink.
        return (image if "adobe" in image.info else ImageChops.invert(image)).convert("RGB")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        if image.format == "PNG":
            _scale_transparency(image, data[PNG_DEPTH_AT])
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


def _scale_transparency(image: Image.Image, depth: int) -> None:
    """Scales the transparent colour of a PNG to 8 bits, as Pillow does with the pixels alone."""
    transparent = image.info.get("transparency")
    if image.mode == "L" and isinstance(transparent, int) and depth < 8:
        image.info["transparency"] = transparent * 255 // (2**depth - 1)
    elif image.mode == "RGB" and isinstance(transparent, tuple) and depth == 16:
        image.info["transparency"] = tuple(level >> 8 for level in transparent)
