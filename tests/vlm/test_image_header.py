"""The header of a JPEG or PNG says what decoding costs, before anything is decoded."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from lab.rig.image_bombs import chunks_bomb, png_bomb, scans_bomb, segments_bomb
from vlm.image_header import MAX_SCANS, ImageHeader, TooManyParts, read_header


def encoded(form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((120, 80), 60).convert("RGB").save(file, form, **options)
    return file.getvalue()


def test_ordinary_files_have_a_size_and_one_scan() -> None:
    assert read_header(encoded("JPEG")) == ImageHeader("JPEG", 120, 80, sequential=True, scans=1)
    assert read_header(encoded("PNG")) == ImageHeader("PNG", 120, 80, sequential=True, scans=1)


def test_a_progressive_jpeg_has_several_scans() -> None:
    header = read_header(encoded("JPEG", progressive=True))
    assert header is not None
    assert not header.sequential
    assert 1 < header.scans < 16


def test_the_scans_of_the_image_are_counted_and_not_those_of_data_after_it() -> None:
    image = encoded("JPEG", progressive=True)
    header, longer = read_header(image), read_header(image + b"\xff\xda\0\2" * 1000)
    assert header is not None
    assert longer == header


def test_bombs_are_recognised_by_their_headers() -> None:
    many_scans, large = read_header(scans_bomb(64, 100)), read_header(png_bomb(3000))
    assert many_scans is not None
    assert many_scans.scans > MAX_SCANS
    assert large is not None
    assert large.pixels == 9_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xda\0\2",
        encoded("JPEG")[:100],
        encoded("PNG")[:-1],
        encoded("WEBP"),
    ],
)
def test_a_damaged_or_other_file_has_no_header(data: bytes) -> None:
    assert read_header(data) is None


@pytest.mark.parametrize("data", [segments_bomb(1000), chunks_bomb(1000)])
def test_a_file_of_very_many_parts_is_not_read(data: bytes) -> None:
    with pytest.raises(TooManyParts):
        read_header(data)
