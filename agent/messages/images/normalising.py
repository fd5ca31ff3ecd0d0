"""Makes an image as a person sees it: upright, on white, with 8 bits per channel."""

from __future__ import annotations

from PIL import Image, JpegImagePlugin

from agent.messages.images import jpeg_file
from agent.messages.images.encoding import encoded
from agent.messages.images.opening import opened
from inarvl.picture import flat, scale_transparency, turn_of, turned

# Where Pillow finds the orientation of a PNG before the pixels; a chunk eXIf may also come after them.
PNG_ORIENTATION = {"exif", "Raw profile type exif", "XML:com.adobe.xmp"}


def normalise(data: bytes) -> bytes:
    """Makes an image one that is decoded everywhere to what a person sees; it stays on the board.

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
        scale_transparency(image, data)
        return encoded(turned(flat(image), turn_of(image)))


def _is_plain(image: Image.Image, data: bytes) -> bool:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return image.mode in ("L", "RGB")
    if image.format != "PNG" or image.mode not in ("1", "L", "P", "RGB") or "transparency" in image.info:
        return False
    if not PNG_ORIENTATION & image.info.keys() and b"eXIf" not in data:
        return True
    image.load()
    return turn_of(image) is None
