"""A model on our server gets the pixels that a person sees, whatever a direct client sends."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops

from vlm.images import decode, open_data_url

TOLERANCE = 4.0
WIDTH, HEIGHT = 96, 64


def picture() -> Image.Image:
    """Red grows to the right, green downwards, and the left upper quarter is blue."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, WIDTH)
    pixels[..., 1] = np.linspace(0, 255, HEIGHT)[:, None]
    pixels[: HEIGHT // 2, : WIDTH // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def difference(data: bytes, expected: Image.Image) -> float:
    """Mean difference of levels between `expected` and what a model gets, each time it is decoded."""
    image = open_data_url(f"data:;base64,{base64.b64encode(data).decode()}")
    seen, again = decode(image), decode(image)
    assert (seen.mode, seen.size) == ("RGB", expected.size)
    assert seen.tobytes() == again.tobytes()
    wanted = np.asarray(expected.convert("RGB"), np.float64)
    return float(np.abs(np.asarray(seen, np.float64) - wanted).mean())


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_what_is_transparent_is_white(form: str) -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert difference(encoded(image, form), Image.new("RGB", image.size, "white")) == 0


def test_a_half_transparent_image_is_mixed_with_white() -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 128))
    expected = Image.blend(Image.new("RGB", image.size, "white"), picture(), 128 / 255)
    assert difference(encoded(image, "PNG"), expected) < 1


def test_a_transparent_palette_colour_is_white() -> None:
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.paste(0, (0, 0, WIDTH // 2, HEIGHT))
    expected = Image.new("RGB", image.size, (40, 50, 60))
    expected.paste((255, 255, 255), (0, 0, WIDTH // 2, HEIGHT))
    assert difference(encoded(image, "PNG", transparency=0), expected) == 0


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_transparent_grey_of_a_small_depth_is_white(depth: int) -> None:
    levels = np.zeros((HEIGHT, WIDTH), np.uint8)
    levels[:, WIDTH // 2 :] = 2**depth - 1
    bits = (levels[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    rows = b"".join(b"\0" + np.packbits(row.ravel()).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, 0, 0, 0, 0)
    parts = (
        (b"IHDR", header),
        (b"tRNS", struct.pack(">H", 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    assert difference(data, Image.new("RGB", (WIDTH, HEIGHT), "white")) == 0


def test_16_bit_grey_is_scaled() -> None:
    levels = np.asarray(picture().convert("L")).astype(np.uint16) * 257
    assert difference(encoded(Image.fromarray(levels), "PNG"), picture().convert("L")) < 1


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_has_the_colours_of_its_ink(adobe: bool) -> None:
    ink = picture().convert("CMYK")
    data = encoded(ink, "JPEG", quality=95)  # with the marker, inverted
    if not adobe:
        data = without_adobe_marker(encoded(ImageChops.invert(ink), "JPEG", quality=95))
    with Image.open(io.BytesIO(data)) as image:
        assert ("adobe" in image.info) is adobe
    assert difference(data, picture()) < TOLERANCE


def without_adobe_marker(data: bytes) -> bytes:
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_turned_upright(form: str) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    data = encoded(picture().transpose(Image.Transpose.ROTATE_90), form, exif=tags, quality=95)
    assert difference(data, picture()) < TOLERANCE
