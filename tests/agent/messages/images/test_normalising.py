"""A model gets the pixels that a person sees, whatever the format, kind and orientation of the image.

Pixels are compared with the upright original, reduced in the same way: the mean difference of their levels is
less than TOLERANCE. A turn changes them by more than 30.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from agent.messages import images
from agent.messages.query import BadQuery

TOLERANCE = 4.0
WIDTH, HEIGHT = 96, 64
TRANSPOSE = Image.Transpose
# How a camera stores the pixels for each orientation.
STORED = {
    1: None,
    2: TRANSPOSE.FLIP_LEFT_RIGHT,
    3: TRANSPOSE.ROTATE_180,
    4: TRANSPOSE.FLIP_TOP_BOTTOM,
    5: TRANSPOSE.TRANSPOSE,
    6: TRANSPOSE.ROTATE_90,
    7: TRANSPOSE.TRANSVERSE,
    8: TRANSPOSE.ROTATE_270,
}
AVIF = pytest.param(
    "AVIF", marks=pytest.mark.skipif("AVIF" not in Image.SAVE, reason="this Pillow cannot write AVIF")
)
RESOLUTIONS = pytest.mark.parametrize("resolution", [0, 40])


def picture() -> Image.Image:
    """Red grows to the right, green downwards, and the left upper quarter is blue."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, WIDTH)
    pixels[..., 1] = np.linspace(0, 255, HEIGHT)[:, None]
    pixels[: HEIGHT // 2, : WIDTH // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def ramp(depth: int) -> np.ndarray:
    """Grey levels of `depth` bits that grow to the right."""
    row = np.linspace(0, 2**depth - 1, WIDTH).round().astype(np.uint16)
    return np.tile(row, (HEIGHT, 1))


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def png(samples: np.ndarray, depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of any depth; `samples` has the shape (h, w) or (h, w, channels)."""
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        lines = [np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in bits]
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def difference(data: bytes, expected: Image.Image, resolution: int) -> float:
    """Mean difference of grey levels between what a model gets, which ignores EXIF data, and `expected`."""
    with Image.open(io.BytesIO(images.fit(data, resolution))) as sent:
        assert sent.format in ("JPEG", "PNG")
        assert sent.getexif().get(0x0112, 1) == 1
        seen = sent.convert("RGB")
    expected = expected.convert("RGB")
    if resolution:
        expected.thumbnail((resolution, resolution), Image.Resampling.BICUBIC)
    assert seen.size == expected.size
    return float(np.abs(np.asarray(seen, np.float64) - np.asarray(expected, np.float64)).mean())


@pytest.mark.parametrize("turn", list(STORED.values())[1:])
def test_a_turn_changes_the_pixels_by_more_than_the_tolerance(turn: TRANSPOSE) -> None:
    turned = picture().transpose(turn).resize((WIDTH, HEIGHT))
    assert difference(encoded(picture(), "PNG"), turned, 0) > 30


@RESOLUTIONS
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", AVIF])
def test_an_image_is_turned_upright(form: str, orientation: int, resolution: int) -> None:
    turn = STORED[orientation]
    stored = picture() if turn is None else picture().transpose(turn)
    data = encoded(stored, form, exif=exif(orientation), quality=95)
    assert difference(data, picture(), resolution) < TOLERANCE


@RESOLUTIONS
def test_a_grey_jpeg_is_turned_upright(resolution: int) -> None:
    grey = picture().convert("L")
    data = encoded(grey.transpose(TRANSPOSE.ROTATE_90), "JPEG", exif=exif(6))
    assert difference(data, grey, resolution) < TOLERANCE


@RESOLUTIONS
def test_an_orientation_after_the_pixels_of_a_png_is_applied(resolution: int) -> None:
    data = encoded(picture().transpose(TRANSPOSE.ROTATE_90), "PNG")
    end = len(data) - len(chunk(b"IEND", b""))
    data = data[:end] + chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")) + data[end:]
    assert difference(data, picture(), resolution) < TOLERANCE


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_invalid_orientation_is_ignored(orientation: int) -> None:
    data = encoded(picture(), "JPEG", exif=exif(orientation))
    assert images.normalise(data) is data


@RESOLUTIONS
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_every_depth_is_scaled(depth: int, resolution: int) -> None:
    expected = Image.fromarray((ramp(depth) * (255 / (2**depth - 1))).round().astype(np.uint8))
    assert difference(png(ramp(depth), depth, 0), expected, resolution) < TOLERANCE


@RESOLUTIONS
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_of_every_depth_is_shown_on_white(depth: int, transparent: bool, resolution: int) -> None:
    colours = np.random.default_rng(0).integers(0, 200, (2**depth, 3)).astype(np.uint8)
    chunks = [(b"PLTE", colours.tobytes())]
    if transparent:
        chunks.append((b"tRNS", bytes([0, 255])))
    data = png(ramp(depth), depth, 3, *chunks)
    if transparent:
        colours[0] = 255
    assert difference(data, Image.fromarray(colours[ramp(depth)]), resolution) < TOLERANCE


@RESOLUTIONS
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [2, 4, 6])
def test_colour_and_alpha_of_every_depth_are_shown_on_white(colour: int, depth: int, resolution: int) -> None:
    visible = picture() if colour != 4 else picture().convert("L")
    channels = np.asarray(visible).reshape(HEIGHT, WIDTH, -1)
    if colour != 2:
        alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
        channels = np.dstack([channels, alpha])
        share = alpha[..., None] / 255
        shown = np.asarray(visible.convert("RGB")) * share + 255 * (1 - share)
        visible = Image.fromarray(shown.round().astype(np.uint8))
    samples = channels.astype(np.uint16) * (257 if depth == 16 else 1)
    assert difference(png(samples, depth, colour), visible, resolution) < TOLERANCE


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("level", [0, 1])
def test_the_transparent_grey_of_a_png_is_white(depth: int, level: int) -> None:
    transparent = level * (2**depth - 1)
    levels = np.where(ramp(depth) > 2 ** (depth - 1), ramp(depth).max(), 0)
    shown = np.where(levels == transparent, 255, levels / (2**depth - 1) * 255).astype(np.uint8)
    data = png(levels, depth, 0, (b"tRNS", struct.pack(">H", transparent)))
    assert difference(data, Image.fromarray(shown), 0) < TOLERANCE


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_a_png_is_white(depth: int) -> None:
    samples = np.asarray(picture()).astype(np.uint16) * (257 if depth == 16 else 1)
    blue = struct.pack(">HHH", 0, 0, samples.max())
    shown = np.asarray(picture()).copy()
    shown[: HEIGHT // 2, : WIDTH // 2] = 255
    data = png(samples, depth, 2, (b"tRNS", blue))
    assert difference(data, Image.fromarray(shown), 0) < TOLERANCE


@RESOLUTIONS
@pytest.mark.parametrize("form", ["PNG", "WEBP", AVIF])
def test_what_is_transparent_is_white_whatever_colour_it_hides(form: str, resolution: int) -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    white = Image.new("RGB", image.size, "white")
    assert difference(encoded(image, form), white, resolution) < TOLERANCE


@RESOLUTIONS
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_the_first_image_of_an_animation_is_shown(form: str, resolution: int) -> None:
    later = [ImageOps.invert(picture())]
    data = encoded(picture(), form, save_all=True, append_images=later, duration=100)
    assert difference(data, picture(), resolution) < TOLERANCE


@pytest.mark.parametrize("form", ["PNG", "WEBP", AVIF])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_ends_in_the_middle_is_rejected(form: str, share: float) -> None:
    noise = Image.effect_noise((WIDTH, HEIGHT), 60).convert("RGBA")
    data = encoded(noise, form)
    with pytest.raises(BadQuery) as caught:
        images.fit(data[: int(len(data) * share)], 0)
    assert caught.value.code == "bad_image"


HEIC = b"\0\0\0\x0cftypheic"


def test_heic_without_a_plugin_is_rejected_with_the_reason() -> None:
    with pytest.raises(BadQuery, match="Pillow cannot open this kind of HEIC") as caught:
        images.fit(HEIC + bytes(50), 0)
    assert caught.value.code == "bad_image"


@pytest.fixture
def heif_plugin() -> Iterator[None]:
    """A plugin for files that are a PNG after the first box."""

    def opened(file: IO[bytes], _name: str | bytes) -> Image.Image:
        file.seek(len(HEIC))
        image = Image.open(io.BytesIO(file.read()))
        image.format = "HEIF"
        return image

    Image.register_open("HEIF", opened, lambda prefix: prefix[8:12] == b"heic")  # type: ignore[arg-type]
    yield
    del Image.OPEN["HEIF"]
    Image.ID.remove("HEIF")


@pytest.mark.usefixtures("heif_plugin")
@RESOLUTIONS
def test_heic_is_accepted_with_a_plugin_of_pillow(resolution: int) -> None:
    assert difference(HEIC + encoded(picture(), "PNG"), picture(), resolution) < TOLERANCE
