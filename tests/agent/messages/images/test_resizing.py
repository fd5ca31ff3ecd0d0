"""An image is resized to an arm's resolution; one that needs no change keeps its format and quality."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from agent.messages import images
from agent.messages.query import BadQuery


def image_file(width: int, height: int, form: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 60).convert(mode).save(file, form, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def size(data: bytes) -> tuple[int, int]:
    return opened(data).size


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_longer_side_is_resized_and_the_aspect_ratio_kept(form: str) -> None:
    resized = images.fit(image_file(400, 200, form), 100)
    assert size(resized) == (100, 50)
    assert resized.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("resolution", [0, 400, 1000])
@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"}),
        ("JPEG", "RGB", {"exif": b"Exif\0\0damaged"}),
        ("JPEG", "L", {}),
        ("PNG", "RGB", {}),
        ("PNG", "L", {}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
    ],
)
def test_an_image_that_needs_no_change_keeps_its_pixels_and_size(
    resolution: int, form: str, mode: str, options: dict[str, Any]
) -> None:
    data = image_file(400, 200, form, mode, **options)
    assert images.normalise(data) is data
    sent = images.fit(data, resolution)
    before, after = (np.asarray(opened(file).convert("RGB")).astype(np.float64) for file in (data, sent))
    assert opened(sent).format == form
    assert np.abs(before - after).mean() < (1.0 if form == "JPEG" else 1e-9)
    assert form == "PNG" or len(sent) < 1.2 * len(data)


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_is_encoded_again_at_its_quality(quality: int, subsampling: int) -> None:
    data = image_file(400, 200, quality=quality, subsampling=subsampling)
    sent = images.fit(data, 0)
    assert opened(sent).quantization == opened(data).quantization  # type: ignore[attr-defined]
    assert JpegImagePlugin.get_sampling(opened(sent)) == subsampling


def test_a_large_png_becomes_a_jpeg() -> None:
    data = image_file(1200, 900, "PNG")
    assert opened(images.fit(data, 0)).format == "JPEG"


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_an_image_is_normalised_only_once(kind: str) -> None:
    data = images.normalise(image_file(40, 20, kind, "RGBA"))
    assert images.normalise(data) is data


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0", image_file(64, 64)[:200], b"GIF89a" + b"\0" * 50])
@pytest.mark.parametrize("resolution", [0, 32])
def test_an_undecodable_image_is_rejected(data: bytes, resolution: int) -> None:
    with pytest.raises(BadQuery, match="send a whole JPEG or PNG") as caught:
        images.fit(data, resolution)
    assert caught.value.code == "bad_image"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("pixels", [(5001, 5000), (9500, 9500), (20_000, 9_000)])
def test_an_image_with_too_many_pixels_is_rejected_before_decoding(pixels: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("1", pixels).save(file, "PNG")
    header = file.getvalue()[:60]
    with pytest.raises(BadQuery) as caught:
        images.normalise(header)
    assert caught.value.code == "too_large"
