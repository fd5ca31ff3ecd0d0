"""The committed models know what their cards say, in the form in which each tier holds them."""

from __future__ import annotations

import pytest

from lab.training.evaluate import accuracy, chance, grade
from lab.training.recipes import RECIPES
from vlm import bundled
from vlm.checkpoint import Quantization

PER_TYPE = 12


@pytest.mark.parametrize(
    ("name", "quantization", "least", "surest"),
    [
        ("inarvl-edge-swift", "nf4", 0.68, "texture"),
        ("inarvl-edge-reader", "nf4", 0.71, "gauge"),
        ("inarvl-cloud-mid", "none", 0.84, "spatial"),
        ("inarvl-cloud-strong", "none", 0.88, "spatial"),
    ],
)
def test_held_out_accuracy(name: str, quantization: Quantization, least: float, surest: str) -> None:
    """`least` is a good two standard errors of 132 questions below what the committed trace shows."""
    graded = grade(bundled.path(name), PER_TYPE, quantization, RECIPES[name].image)
    right = sum(one.right for one in graded) / len(graded)
    guessed = chance(graded)
    assert right > least
    assert right > sum(guessed.values()) / len(guessed) + 0.12
    assert accuracy(graded, "type")[surest] > 0.7


def test_the_committed_weights_are_few() -> None:
    total = sum(file.stat().st_size for file in bundled.FOLDER.glob("*/model.safetensors"))
    assert total < 60e6
    assert set(bundled.names()) <= set(RECIPES)
