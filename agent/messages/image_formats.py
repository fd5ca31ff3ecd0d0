"""The image formats of cameras and phones, as far as the installed Pillow can open them."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")
PLUGINS = ("JpegImagePlugin", "PngImagePlugin", "WebPImagePlugin", "AvifImagePlugin")

for plugin in PLUGINS:
    with suppress(ImportError):  # Pillow has AVIF since 11.3
        import_module(f"PIL.{plugin}")
with suppress(ImportError):  # HEIC, as phones write it, needs this optional package
    import_module("pillow_heif").register_heif_opener()


def openable() -> tuple[str, ...]:
    """Returns the names of the formats that Pillow can open."""
    return tuple(name for name in FORMATS if name in Image.OPEN)


def is_image(data: bytes) -> bool:
    """Returns whether `data` starts as a file of one of the formats does, whether it can be opened or not."""
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or _is_webp(data) or is_heif(data)


def is_heif(data: bytes) -> bool:
    """Returns whether `data` starts with the box `ftyp` of ISO/IEC 14496-12, as HEIC and AVIF files do."""
    return data.startswith(b"\0\0") and data[4:8] == b"ftyp"


def _is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"
