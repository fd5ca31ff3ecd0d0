"""A picture unlike the drawn scenes is recognised, and a bundled model's answer about it has a warning."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from agent.answering.drawn_scenes import drawn_scenes
from agent.answering.question import QuestionReader
from agent.answering.workers import warning_of
from agent.config.settings import Settings
from agent.messages.query import Query
from controller import image_signals
from lab.scenes.render import render
from lab.scenes.scene import draw
from vlm import bundled

HELD_OUT = 77
COUNT = 200
BUNDLED = bundled.names()[0]
RNG = np.random.default_rng(0)


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def scene(index: int, size: int = 256) -> Image.Image:
    return render(draw(np.random.default_rng([HELD_OUT, index])), size)


def sky() -> Image.Image:
    light = np.linspace(230, 120, 480)[:, None, None] + RNG.normal(0, 6, (480, 640, 3))
    return Image.fromarray(light.clip(0, 255).astype(np.uint8))


def leaves() -> Image.Image:
    """Fine and coarse texture together, as plants have it."""
    levels = sum(
        np.asarray(
            Image.fromarray(RNG.integers(0, 255, (n, n), dtype=np.uint8)).resize((512, 512)), np.float64
        )
        / 4
        for n in (4, 16, 64, 256)
    )
    return Image.fromarray(np.asarray(levels).astype(np.uint8))


def page() -> Image.Image:
    image = Image.new("RGB", (800, 1000), "white")
    pen = ImageDraw.Draw(image)
    for line in range(20, 980, 16):
        pen.text((40, line), "the quick brown fox jumps over the lazy dog " * 2, fill="black")
    return image


@pytest.mark.parametrize("size", [128, 256, 512])
def test_hardly_any_held_out_scene_is_outside(size: int) -> None:
    outside = [not drawn_scenes().contain(image_signals(jpeg(scene(index, size)))) for index in range(COUNT)]
    assert sum(outside) <= 0.02 * COUNT  # expected: 0.007


@pytest.mark.parametrize("picture", [sky, leaves, page, lambda: Image.new("RGB", (640, 480), "gray")])
def test_a_picture_of_another_kind_is_outside(picture: Callable[[], Image.Image]) -> None:
    assert not drawn_scenes().contain(image_signals(jpeg(picture())))


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photograph_is_outside(name: str) -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the photographs")
    assert not drawn_scenes().contain(image_signals(jpeg(Image.fromarray(datasets.load_sample_image(name)))))


def test_only_answers_of_bundled_models_about_other_pictures_have_a_warning() -> None:
    reader = QuestionReader(lambda: (), Settings.model_validate({"device": "d"}))
    drawn, other = jpeg(scene(0)), jpeg(leaves())
    warning = warning_of(reader.read(Query("q", "what?", other)), BUNDLED)
    assert warning is not None
    assert warning.startswith(f"{BUNDLED} was trained on drawn scenes")
    assert warning_of(reader.read(Query("q", "what?", drawn)), BUNDLED) is None
    assert warning_of(reader.read(Query("q", "what?", other)), "smolvlm") is None
    both = reader.read(Query("q", "same?", images=(drawn, other)))
    assert warning_of(both, BUNDLED) is not None, "one image of several is enough"
