"""First half of a training: a decoder that answers about scenes it is told, without a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.scenes.question import TYPES
from lab.scenes.scene import Scene
from lab.training.cell_classifier import truth
from lab.training.dataset import TRAIN, scene
from lab.training.recipes import Recipe
from lab.training.scene_embedding import Symbols, spread
from lab.training.trainer import Look, Run

FIRST = ("existence", "colour", "shape")
FIRST_SHARE = 0.12
FEW_SHARE = 0.2  # of the run: the time in which scenes grow from two things to all
FINE = 0.3  # share of batches in which each cell has four tokens, as at twice the resolution
SCENES = 12_000


class Reasoning(Run):
    """Trains the decoder of a recipe on symbols; recipes of the same decoder can share it."""

    def __init__(self, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        super().__init__(decoder_name(recipe), recipe, folder, seed=seed)
        self.symbols = Symbols(self.tokenizer, recipe.width)
        self.parts["symbols"] = self.symbols
        self._scenes: list[Scene] = []

    def look(self) -> Look:
        """Few things and few types at first: looking things up is learned soonest with little else about."""
        if not self._scenes:
            self._scenes = [scene(TRAIN, index) for index in range(SCENES)]
        most = 2 + int(8 * self.share / FEW_SHARE)
        drawn = [
            replace(chosen, things=chosen.things[:most])
            for chosen in (self._scenes[i] for i in self._rng.integers(SCENES, size=self.recipe.batch))
        ]
        cells = self.symbols(truth(drawn), self.model.get_input_embeddings().weight)
        types = FIRST if self.share < FIRST_SHARE else self.recipe.mixed(TYPES)
        return Look(drawn, spread(cells, 2 if self._rng.random() < FINE else 1), types)


def decoder_name(recipe: Recipe) -> str:
    """Name of the run that trains this recipe's decoder."""
    return f"decoder-{recipe.width}x{recipe.decoder_layers}"
