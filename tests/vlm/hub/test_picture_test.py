"""The picture test says whether a model sees."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vlm import bundled
from vlm.cli import app
from vlm.hub.picture_test import COLOURS, SIDE, PictureAnswer, draw_square

Build = Callable[[str], Path]


@pytest.mark.parametrize("name", bundled.names())
def test_every_bundled_model_sees(name: str) -> None:
    run = CliRunner().invoke(app, ["try", f"bundled:{name}", "--device", "cpu"])
    assert run.exit_code == 0, run.output
    assert "a red square: 'red' after" in run.output
    assert "a blue square: 'blue' after" in run.output
    assert "the model sees" in run.output


@pytest.mark.parametrize("family", ["llava", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_model_with_random_weights_does_not_see(family: str, checkpoint: Build) -> None:
    run = CliRunner().invoke(
        app, ["try", str(checkpoint(family)), "--device", "cpu", "--quantization", "none"]
    )
    assert run.exit_code == 1, run.output
    assert "the model does not see" in run.output


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("red", True),
        ("The square is RED.", True),
        ("blue", False),
        ("red and blue", False),
        ("a hundred", False),
        ("", False),
    ],
)
def test_an_answer_must_name_the_colour_and_not_the_other_one(text: str, correct: bool) -> None:
    assert PictureAnswer("red", text, 0.1).correct is correct


def test_the_pictures_show_a_square_of_the_colour() -> None:
    for colour, ink in COLOURS.items():
        assert draw_square(colour).getpixel((SIDE // 2, SIDE // 2)) == ink
        assert draw_square(colour).getpixel((0, 0)) == (200, 200, 200)


def test_pull_of_a_bundled_model_only_tries_it() -> None:
    run = CliRunner().invoke(app, ["pull", "bundled:inarvl-edge-swift", "--device", "cpu"])
    assert run.exit_code == 0, run.output
    assert "comes with inarvl" in run.output
    assert "the model sees" in run.output
