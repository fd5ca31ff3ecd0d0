"""The bundled models, each by its sizes and by what it is asked while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

PERCEIVING = {
    **{"texture": 7, "counting": 5, "shape": 4, "comparison": 3, "existence": 2},
    **{"reading": 0, "gauge": 0},
}
HARD = {"comparison": 3, "spatial": 3, "two_hop": 3, "counting": 3, "reading": 5, "gauge": 2}
EXACT = {
    **{"reading": 5, "counting": 4, "gauge": 2, "two_hop": 2, "spatial": 2},
    **{"texture": 0, "shape": 0, "comparison": 0},
}


@dataclass(frozen=True)
class Recipe:
    """A LLaVA-class model: a SigLIP tower, a projector and a Llama decoder.

    Attributes:
        resolutions: sides of the squares it can see, in pixels; the last is the one its tower is made for.
        patch: side of one patch, in pixels.
        width: hidden size of tower and decoder; a multiple of 64, the block of NF4 quantisation.
        tower_layers, decoder_layers: how deep each is.
        batch: images per training step, each with `questions` questions.
        rate: peak learning rate.
        fine: share of batches at the larger resolution, in the first and in the second half of a training.
        pruned_from: the recipe whose trained model it begins as, with every so many layers of its tower.
        goes: steps after which earlier goes at its training ended, each to have the rate raised anew.
        asked: how often a type of question is asked against the others, which count 1.
    """

    name: str
    resolutions: tuple[int, int]
    patch: int
    width: int
    tower_layers: int
    decoder_layers: int
    batch: int
    rate: float
    fine: tuple[float, float] = (0.6, 0.7)
    pruned_from: str | None = None
    goes: tuple[int, ...] = ()
    asked: dict[str, int] = field(default_factory=dict)
    questions: int = 8
    max_tokens: int = 8

    @property
    def image(self) -> int:
        """Side of the largest square it sees, in pixels."""
        return self.resolutions[-1]

    def mixed(self, types: Sequence[str]) -> list[str]:
        """`types`, each as many times as it is to be asked."""
        return [name for name in types for _ in range(self.asked.get(name, 1))]

    def side(self, resolution: int) -> int:
        """Patches along one side of the image."""
        return resolution // self.patch


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("inarvl-edge-swift", (48, 96), 12, 64, 3, 4, batch=16, rate=2e-3, asked=PERCEIVING),
        Recipe("inarvl-edge-reader", (64, 128), 16, 64, 4, 4, batch=16, rate=2e-3, asked=EXACT),
        Recipe(
            "inarvl-cloud-strong", (64, 128), 16, 128, 6, 4, batch=12, rate=1e-3, goes=(5600,), asked=HARD
        ),
        Recipe(
            "inarvl-cloud-mid",
            (64, 128),
            16,
            128,
            3,
            4,
            batch=12,
            rate=1e-3,
            pruned_from="inarvl-cloud-strong",
            asked=HARD,
        ),
    )
}
