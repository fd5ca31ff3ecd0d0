"""The sizes and the training of each bundled model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

PERCEPTION_WEIGHTS = {
    **{"texture": 7, "counting": 5, "shape": 4, "comparison": 3, "existence": 2},
    **{"reading": 0, "gauge": 0},
}
HARD_WEIGHTS = {"comparison": 3, "spatial": 3, "two_hop": 3, "counting": 3, "reading": 5, "gauge": 2}
READING_WEIGHTS = {
    **{"reading": 5, "counting": 4, "gauge": 2, "two_hop": 2, "spatial": 2},
    **{"texture": 0, "shape": 0, "comparison": 0},
}


@dataclass(frozen=True)
class Recipe:
    """A LLaVA-class model: a SigLIP tower, a projector and a Llama decoder.

    Attributes:
        resolutions: Sides of the square images in pixels, ascending; the tower's position embeddings are for
            the last.
        patch: Side of one patch in pixels.
        width: Hidden size of tower and decoder; a multiple of 64, the block size of NF4 quantisation.
        tower_layers, decoder_layers: Numbers of layers.
        batch: Images per training step, each with `questions` questions.
        learning_rate: Maximum of its schedule.
        large_shares: Share of batches at the larger resolution, in the first and the second half of a
            training.
        pruned_from: The recipe whose trained model is the start, with evenly spaced layers of its tower.
        restarts: Steps at which the learning rate schedule starts again.
        type_weights: How often a type of question is asked, relative to types without a weight, which count
            1.
    """

    name: str
    resolutions: tuple[int, int]
    patch: int
    width: int
    tower_layers: int
    decoder_layers: int
    batch: int
    learning_rate: float
    large_shares: tuple[float, float] = (0.6, 0.7)
    pruned_from: str | None = None
    restarts: tuple[int, ...] = ()
    type_weights: dict[str, int] = field(default_factory=dict)
    questions: int = 8
    max_tokens: int = 8

    @property
    def max_resolution(self) -> int:
        """Side of the largest image in pixels."""
        return self.resolutions[-1]

    def weighted(self, types: Sequence[str]) -> list[str]:
        """Returns each of `types` as often as its weight says."""
        return [name for name in types for _ in range(self.type_weights.get(name, 1))]

    def patches_per_side(self, resolution: int) -> int:
        """Returns the number of patches along one side of the image."""
        return resolution // self.patch


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "inarvl-edge-swift",
            (48, 96),
            patch=12,
            width=64,
            tower_layers=3,
            decoder_layers=4,
            batch=16,
            learning_rate=2e-3,
            type_weights=PERCEPTION_WEIGHTS,
        ),
        Recipe(
            "inarvl-edge-reader",
            (64, 128),
            patch=16,
            width=64,
            tower_layers=4,
            decoder_layers=4,
            batch=16,
            learning_rate=2e-3,
            type_weights=READING_WEIGHTS,
        ),
        Recipe(
            "inarvl-cloud-strong",
            (64, 128),
            patch=16,
            width=128,
            tower_layers=6,
            decoder_layers=4,
            batch=12,
            learning_rate=1e-3,
            restarts=(5600,),
            type_weights=HARD_WEIGHTS,
        ),
        Recipe(
            "inarvl-cloud-mid",
            (64, 128),
            patch=16,
            width=128,
            tower_layers=3,
            decoder_layers=4,
            batch=12,
            learning_rate=1e-3,
            pruned_from="inarvl-cloud-strong",
            type_weights=HARD_WEIGHTS,
        ),
    )
}
