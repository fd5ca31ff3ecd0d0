"""The committed models know what their cards say, in the form in which each tier holds them."""

from __future__ import annotations

import pytest

from training.evaluate import accuracy, chance, grade
from vlm import bundled
from vlm.checkpoint import Quantization

PER_TYPE = 20


@pytest.mark.parametrize(
    ("name", "quantization", "least"),
    [("inarvl-edge-1m", "nf4", 0.52), ("inarvl-edge-1m", "none", 0.52), ("inarvl-cloud-4m", "none", 0.56)],
)
def test_held_out_accuracy(name: str, quantization: Quantization, least: float) -> None:
    """`least` is a good two standard errors of 220 questions below what was measured on 2,200."""
    graded = grade(bundled.path(name), PER_TYPE, quantization)
    right = sum(one.right for one in graded) / len(graded)
    guessed = chance(graded)
    assert right > least
    assert right > sum(guessed.values()) / len(guessed) + 0.15
    assert accuracy(graded, "type")["gauge"] > 0.8
