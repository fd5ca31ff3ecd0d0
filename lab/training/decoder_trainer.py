"""First stage of a training: a decoder learns to answer questions about embedded scenes, without images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.scenes.question import TYPES
from lab.scenes.scene import Scene
from lab.training.cell_classifier import cell_labels
from lab.training.dataset import TRAIN, scene_at
from lab.training.recipes import Recipe
from lab.training.scene_embedding import SceneEmbedding, expand_cells
from lab.training.trainer import Batch, Trainer

FIRST_TYPES = ("existence", "colour", "shape")
FIRST_TYPES_SHARE = 0.12  # of the training, in which only FIRST_TYPES are asked
GROWTH_SHARE = 0.2  # of the training, in which scenes grow from two things to all
FINE_SHARE = 0.3  # of batches, in which each cell has four tokens, as at twice the resolution
SCENES = 12_000


class DecoderTrainer(Trainer):
    """Trains the decoder of a recipe; recipes with the same decoder can share it."""

    def __init__(self, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        super().__init__(decoder_name(recipe), recipe, folder, seed=seed)
        self.embedding = SceneEmbedding(self.tokenizer, recipe.width)
        self.parts["symbols"] = self.embedding
        self._scenes: list[Scene] = []

    def next_batch(self) -> Batch:
        """Returns scenes with few things and few types of question at first, which are learned faster."""
        if not self._scenes:
            self._scenes = [scene_at(TRAIN, index) for index in range(SCENES)]
        max_things = 2 + int(8 * self.progress / GROWTH_SHARE)
        scenes = [
            replace(scene, things=scene.things[:max_things])
            for scene in (self._scenes[i] for i in self._rng.integers(SCENES, size=self.recipe.batch))
        ]
        cells = self.embedding(cell_labels(scenes), self.model.get_input_embeddings().weight)
        types = FIRST_TYPES if self.progress < FIRST_TYPES_SHARE else self.recipe.weighted(TYPES)
        return Batch(scenes, expand_cells(cells, 2 if self._rng.random() < FINE_SHARE else 1), types)


def decoder_name(recipe: Recipe) -> str:
    """Returns the name of the training of a recipe's decoder."""
    return f"decoder-{recipe.width}x{recipe.decoder_layers}"
