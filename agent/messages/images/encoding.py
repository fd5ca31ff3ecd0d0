"""Encodes the pixels of an image, and nothing else of the file that it came in.

Cameras and phones write into a file where, when and by whom a picture was taken: as EXIF, XMP, IPTC,
comments, text chunks, colour profiles, small and second pictures, and after its end. None of this is in a
file that is written here, because it is written from pixels alone.
"""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, JpegImagePlugin

from controller.image_signals import jpeg_quality

JPEG_QUALITY: Final = 90
MOST_QUALITY, LEAST_QUALITY = 95, 50  # of a JPEG that is encoded as it came
MAX_PNG_PIXELS: Final = 2**20  # a larger one would take a second to encode


def encoded(image: Image.Image, quality: int = JPEG_QUALITY, subsampling: int = 0) -> bytes:
    """Returns a grey or RGB image as JPEG; removes its `info`."""
    image.info = {}  # Pillow writes comments and profiles from it
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def encoded_like(pixels: Image.Image, source: Image.Image) -> bytes:
    """Returns `pixels` in the format and about the quality of `source`, a JPEG or PNG; removes their `info`.

    A PNG of more than MAX_PNG_PIXELS becomes a JPEG.
    """
    if isinstance(source, JpegImagePlugin.JpegImageFile):
        quality = round(jpeg_quality(source) or JPEG_QUALITY)
        sampling = JpegImagePlugin.get_sampling(source)
        return encoded(pixels, min(MOST_QUALITY, max(LEAST_QUALITY, quality)), max(0, sampling))
    if pixels.width * pixels.height > MAX_PNG_PIXELS:
        return encoded(pixels)
    pixels.info = {}
    file = io.BytesIO()
    pixels.save(file, "PNG")
    return file.getvalue()
