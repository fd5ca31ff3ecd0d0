"""The bundled models, each by its sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Sizes of a LLaVA-class model: a SigLIP tower, a projector and a Llama decoder.

    Attributes:
        image: side of the square it sees, in pixels.
        patch: side of one patch, in pixels.
        width: hidden size of tower and decoder; a multiple of 64, the block of NF4 quantisation.
        tower_layers, decoder_layers: how deep each is.
        batch: images per training step, each with `questions` questions.
        rate: peak learning rate.
    """

    name: str
    image: int
    patch: int
    width: int
    tower_layers: int
    decoder_layers: int
    batch: int
    rate: float
    questions: int = 6
    max_tokens: int = 8


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "inarvl-edge-1m",
            image=64,
            patch=8,
            width=128,
            tower_layers=3,
            decoder_layers=3,
            batch=20,
            rate=1.2e-3,
        ),
        Recipe(
            "inarvl-cloud-4m",
            image=96,
            patch=12,
            width=192,
            tower_layers=5,
            decoder_layers=3,
            batch=14,
            rate=1e-3,
        ),
    )
}
