"""JPEG files as cameras write them are repaired, and one with missing pixels is rejected."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from agent.messages import images
from agent.messages.images import jpeg_file
from agent.messages.query import BadQuery

END = b"\xff\xd9"
KINDS = pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}, {"restart_marker_rows": 1}],
    ids=str,
)


def picture(mode: str = "RGB") -> Image.Image:
    """Colours that change smoothly, so that no two places are the same."""
    across, down = np.meshgrid(np.arange(120), np.arange(88))
    return Image.fromarray(np.dstack([across * 2, down * 2, 255 - across * 2]).astype(np.uint8)).convert(mode)


def jpeg(image: Image.Image | None = None, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    (image or picture()).save(file, form, quality=95, **options)
    return file.getvalue()


def without_segment(data: bytes, marker: int) -> bytes:
    """`data` without the segments of the header that have this marker."""
    parts, position = [data[:2]], 2
    while data[position + 1] != jpeg_file.SCAN:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] != marker:
            parts.append(data[position:end])
        position = end
    return b"".join([*parts, data[position:]])


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return np.asarray(image.convert("RGB")).astype(np.float64)


def difference(data: bytes, expected: Image.Image) -> float:
    """Mean difference of grey levels at full size and at a third, the larger of both."""
    whole, small = expected.convert("RGB"), expected.convert("RGB")
    small.thumbnail((40, 40), Image.Resampling.BICUBIC)
    pairs = [(images.fit(data, 0), whole), (images.fit(data, 40), small)]
    return max(float(np.abs(decoded(sent) - np.asarray(image)).mean()) for sent, image in pairs)


@KINDS
def test_a_whole_file_is_unchanged(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    assert jpeg_file.repaired(data) is data
    assert images.normalise(data) is data


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_missing_huffman_tables_are_inserted(mode: str) -> None:
    whole = jpeg(picture(mode))
    data = without_segment(whole, 0xC4)
    repaired = images.normalise(data)
    assert b"\xff\xc4" not in data
    assert b"\xff\xc4" in repaired
    assert (decoded(repaired) == decoded(whole)).all()
    assert difference(data, picture(mode)) < 4


@KINDS
@pytest.mark.parametrize("extra", [b"\0", b"\0" * 4096, b"ftypmp42 \xff\xd8 a video \xff\x00", b"\xff\xd9\n"])
def test_trailing_bytes_are_not_sent(options: dict[str, Any], extra: bytes) -> None:
    assert images.normalise(jpeg(**options) + extra) == jpeg(**options)
    assert images.fit(jpeg(**options) + extra, 0) == images.fit(jpeg(**options), 0)


def test_only_the_first_image_of_an_mpo_is_sent() -> None:
    other = ImageOps.invert(picture())
    data = jpeg(form="MPO", save_all=True, append_images=[other])
    sent = images.fit(data, 0)
    assert len(sent) < len(data) * 0.6
    assert b"MPF\0" not in sent
    assert difference(data, picture()) < 4


@KINDS
@pytest.mark.parametrize("removed", [1, 2])
def test_a_missing_end_marker_is_added(options: dict[str, Any], removed: int) -> None:
    assert images.normalise(jpeg(**options)[:-removed]) == jpeg(**options)


def test_zeros_in_place_of_the_end_marker_are_accepted() -> None:
    data = jpeg()[:-2] + b"\0" * 100
    assert (decoded(images.normalise(data)) == decoded(jpeg())).all()


@KINDS
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_file_that_ends_in_the_middle_is_rejected(options: dict[str, Any], share: float) -> None:
    noise = Image.effect_noise((120, 88), 60).convert("RGB")
    data = jpeg(noise, **options)
    for resolution in (0, 40):
        with pytest.raises(BadQuery) as caught:
            images.fit(data[: int(len(data) * share)], resolution)
        assert caught.value.code == "bad_image"


def test_a_progressive_file_without_its_last_scans_is_rejected() -> None:
    data = jpeg(progressive=True)
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    tables = data.rfind(b"\xff\xc4", 0, scans[-1])
    for end in (scans[2], tables, scans[-1]):
        with pytest.raises(BadQuery):
            images.fit(data[:end], 0)


def test_a_file_with_countless_scans_and_no_end_is_rejected() -> None:
    data = jpeg()
    scan = data.index(b"\xff\xda")
    with pytest.raises(BadQuery):
        images.fit(data[:scan] + data[scan : scan + 14] * 100_000, 0)


def test_cmyk_as_adobe_stores_it_has_its_colours() -> None:
    data = jpeg(picture().convert("CMYK"))
    assert b"Adobe" in data
    assert difference(data, picture()) < 4


def test_cmyk_without_adobes_marker_is_not_inverted() -> None:
    # Pillow stores the inverse: cyan is 255 - red, and so on; black is 0, which is no ink.
    inverse = Image.merge("CMYK", (*picture().split(), Image.new("L", picture().size, 255)))
    data = without_segment(jpeg(inverse), 0xEE)
    assert b"Adobe" not in data
    assert difference(data, picture()) < 4


def test_ycck_as_adobe_stores_it_has_its_colours() -> None:
    inverted = ImageOps.invert(picture()).convert("YCbCr")
    bands = [ImageOps.invert(band) for band in inverted.split()]
    data = bytearray(jpeg(Image.merge("CMYK", (*bands, Image.new("L", inverted.size, 0)))))
    data[data.index(b"Adobe") + 11] = 2  # the transform YCCK
    assert difference(bytes(data), picture()) < 4


def test_rgb_without_a_colour_transform_has_its_colours() -> None:
    assert difference(jpeg(keep_rgb=True), picture()) < 4
