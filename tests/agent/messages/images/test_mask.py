"""What a mask covers leaves no trace in a masked file: it is the same whatever the covered pixels are."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from agent.messages.images.preparing import View, prepare

WIDTH, HEIGHT = 640, 400
TRANSPOSE = Image.Transpose
# How a camera stores the pixels for some orientations.
STORED = {1: None, 3: TRANSPOSE.ROTATE_180, 5: TRANSPOSE.TRANSPOSE, 6: TRANSPOSE.ROTATE_90}
TRIANGLE = ((0.3, 0.3), (0.7, 0.35), (0.4, 0.8))
SLIVER = ((0.05, 0.9), (0.2, 0.9), (0.2, 0.905))
MASK = (TRIANGLE, SLIVER)
VIEWS = [View(resolution, MASK) for resolution in (0, 17, 64, 200, 333, 2000)]
EXACT = [
    ("PNG", {}),
    ("JPEG", {"quality": 30, "subsampling": 0}),
    ("JPEG", {"quality": 75, "subsampling": 1}),
    ("JPEG", {"quality": 75, "subsampling": 2}),
    ("JPEG", {"quality": 90, "subsampling": 2, "progressive": True}),
]


def scene(covered: str | None, mode: str = "RGB") -> Image.Image:
    """Something that fills the whole of what the mask covers, up to its edges, or a scene without it."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (25, 40, 3)).astype(np.uint8))
    image = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    if covered is not None:
        draw = ImageDraw.Draw(image)
        for polygon in MASK:
            draw.polygon([(x * WIDTH, y * HEIGHT) for x, y in polygon], fill=covered, outline=covered)
    return image.convert(mode)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.float64)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("form", "options"), EXACT, ids=str)
def test_what_is_covered_changes_no_byte_at_any_resolution(
    form: str, options: dict[str, Any], orientation: int
) -> None:
    sent = []
    for covered in (None, "white", "red"):
        image, turn = scene(covered), STORED[orientation]
        stored = image if turn is None else image.transpose(turn)
        views = prepare(encoded(stored, form, exif=exif(orientation), **options), VIEWS).views
        sent.append([views[view] for view in VIEWS])
    assert sent[0] == sent[1] == sent[2]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA"])
def test_what_is_covered_changes_no_byte_of_a_picture_that_is_converted(mode: str) -> None:
    form = "PNG" if mode == "RGBA" else "JPEG"
    one, other = (prepare(encoded(scene(covered, mode), form), VIEWS).views for covered in (None, "white"))
    assert one == other


@pytest.mark.parametrize("form", ["WEBP", "AVIF"])
def test_what_is_covered_is_within_the_noise_of_other_formats(form: str) -> None:
    if form not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {form}")
    quality = {"quality": 80}
    one, other = (prepare(encoded(scene(c), form, **quality), VIEWS).views for c in ("black", "white"))
    margin_px = prepare(encoded(scene(None), form), ()).margin_px
    exact = prepare(encoded(scene(None), "PNG"), VIEWS, margin_px).views
    for view in VIEWS:
        noise = np.abs(pixels(one[view]) - pixels(exact[view])).mean()
        assert np.abs(pixels(one[view]) - pixels(other[view])).mean() < noise


@pytest.mark.parametrize("resolution", [0, 200])
def test_the_mask_is_black_and_the_rest_is_seen(resolution: int) -> None:
    data = encoded(scene("white"), "JPEG", quality=90)
    views = prepare(data, [View(resolution), View(resolution, MASK)]).views
    whole, masked = pixels(views[View(resolution)]), pixels(views[View(resolution, MASK)])
    height, width = masked.shape[:2]
    inside = Image.new("1", (width, height))
    ImageDraw.Draw(inside).polygon([(x * width, y * height) for x, y in TRIANGLE], fill=1)
    assert masked[np.asarray(inside)].max() < 40
    corner = np.s_[: height // 6, : width // 6]
    assert np.abs(masked[corner] - whole[corner]).mean() < 2


def test_a_view_that_is_needed_later_has_the_margin_of_the_picture_that_came() -> None:
    data = encoded(scene("white"), "WEBP", quality=80)
    first = prepare(data, VIEWS)
    later = prepare(prepare(data, ()).encoded, VIEWS, first.margin_px)
    assert later.views == first.views


def test_the_signals_are_of_the_whole_picture() -> None:
    data = encoded(scene("white"), "JPEG")
    assert prepare(data, VIEWS).signals == prepare(data, ()).signals


def test_the_board_may_see_the_whole_picture() -> None:
    data = encoded(scene("white"), "JPEG")
    assert prepare(data, [View(0)]).views == {View(0): prepare(data, [*VIEWS, View(0)]).views[View(0)]}
