"""The committed models are as accurate as their cards say, in the form in which each tier runs them."""

from __future__ import annotations

import re

import pytest
import torch

from lab.training.evaluate import accuracy, chance, grade
from lab.training.model_card import CARD
from lab.training.recipes import RECIPES
from vlm import bundled
from vlm.checkpoint import Quantization

PER_TYPE = 12

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """On a busy machine several threads mostly wait for each other."""
    torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "quantization", "lowest", "best_type"),
    [
        ("inarvl-edge-swift", "nf4", 0.68, "texture"),
        ("inarvl-edge-reader", "nf4", 0.71, "gauge"),
        ("inarvl-cloud-mid", "none", 0.84, "spatial"),
        ("inarvl-cloud-strong", "none", 0.88, "spatial"),
    ],
)
def test_held_out_accuracy(name: str, quantization: Quantization, lowest: float, best_type: str) -> None:
    """`lowest` is at least two standard errors of 132 questions below the accuracy in the committed trace."""
    graded = grade(bundled.path(name), PER_TYPE, quantization, RECIPES[name].max_resolution)
    correct = sum(answer.correct for answer in graded) / len(graded)
    by_chance = chance(graded)
    assert correct > lowest
    assert correct > sum(by_chance.values()) / len(by_chance) + 0.12
    assert accuracy(graded, "type")[best_type] > 0.7


def test_the_committed_weights_are_small() -> None:
    total = sum(file.stat().st_size for file in bundled.FOLDER.glob("*/model.safetensors"))
    assert total < 60e6
    assert set(bundled.names()) <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_committed_card_has_the_form_that_export_writes(name: str) -> None:
    fixed = re.split(r"\{[^}]+\}", CARD.replace("{name}", name))
    card = (bundled.path(name) / "README.md").read_text()
    assert re.fullmatch(r"[\s\S]+?".join(map(re.escape, fixed)), card)
