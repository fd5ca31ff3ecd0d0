"""Second stage of a training: a tower learns to see, and the whole model learns to answer."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lab.scenes.question import TYPES
from lab.scenes.scene import GRID, Scene
from lab.training.cell_classifier import CellClassifier, cell_labels, needed_attributes
from lab.training.dataset import TRAIN, images_file, scene_at
from lab.training.decoder_trainer import DecoderTrainer
from lab.training.recipes import Recipe
from lab.training.scene_embedding import SceneEmbedding, expand_cells
from lab.training.trainer import Batch, Trainer

TOWER_SHARE = 0.5  # of the training, in which only the tower learns and nothing is asked
TOWER_BATCH_FACTOR = 3  # images in a batch then, relative to later ones
EMBEDDED_SHARE = 0.25  # of later batches without images, so that the decoder does not forget how to reason
LATE_LIKENESS = 0.1  # weight of the likeness loss in later batches


class VlmTrainer(Trainer):
    """Trains a whole model; its decoder is trained before."""

    def __init__(self, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        super().__init__(recipe.name, recipe, folder, seed=seed)
        self.embedding = SceneEmbedding(self.tokenizer, recipe.width)
        self._attributes = needed_attributes(recipe.weighted(TYPES))
        self.classifiers = torch.nn.ModuleDict(
            {
                str(r): CellClassifier(recipe.width, recipe.patches_per_side(r), self._attributes)
                for r in recipe.resolutions
            }
        )
        self.parts |= {
            "tower": self.model.model.vision_tower,
            "projector": self.model.model.multi_modal_projector,
            "symbols": self.embedding,
            "grids": self.classifiers,
        }

    def load_decoder(self) -> None:
        """Loads the decoder that a DecoderTrainer saved.

        Raises:
            FileNotFoundError: It is not saved yet.
        """
        decoder = DecoderTrainer(self.recipe, self.folder)
        self.load_parts(decoder, ("decoder", "head", "grounding", "symbols"))

    def prune(self, larger: VlmTrainer) -> None:
        """Loads another model with evenly spaced layers of its tower (Sanh et al., arXiv 1910.01108).

        Raises:
            FileNotFoundError: The other model is not saved yet.
        """
        every = larger.recipe.tower_layers // self.recipe.tower_layers
        self.load_parts(larger, [part for part in self.parts if part != "tower"])
        larger_tower = larger.load_checkpoint()["parts"]["tower"]
        layers = {f"layers.{i * every}.": f"layers.{i}." for i in range(self.recipe.tower_layers)}
        tower = {name: value for name, value in larger_tower.items() if ".layers." not in name}
        for name, value in larger_tower.items():
            for old, new in layers.items():
                if f".{old}" in name:
                    tower[name.replace(old, new)] = value
        self.parts["tower"].load_state_dict(tower)

    @cached_property
    def images(self) -> dict[int, NDArray[np.uint8]]:
        """The rendered training scenes by side, (scenes, side, side, 3); an export does not need them."""
        files = {r: images_file(self.folder, TRAIN, r) for r in self.recipe.resolutions}
        return {r: np.asanyarray(np.load(file, mmap_mode="r")) for r, file in files.items()}

    @cached_property
    def scenes(self) -> list[Scene]:
        """The scene of each image."""
        return [scene_at(TRAIN, index) for index in range(len(self.images[self.recipe.max_resolution]))]

    def next_batch(self) -> Batch:
        """Returns images at one of the resolutions, or, in a later batch, sometimes embedded scenes."""
        tower_only = self.progress < TOWER_SHARE
        size = self.recipe.batch * (TOWER_BATCH_FACTOR if tower_only else 1)
        chosen = np.sort(self._rng.integers(len(self.scenes), size=size))
        scenes = [self.scenes[index] for index in chosen]
        labels = cell_labels(scenes, self._attributes)
        if not tower_only and self._rng.random() < EMBEDDED_SHARE:
            cells = self.embedding(labels, self.model.get_input_embeddings().weight)
            tokens = expand_cells(cells, int(self._rng.integers(1, 3)))
            return Batch(scenes, tokens, self.recipe.weighted(TYPES))
        resolution = self._draw_resolution()
        pixels = torch.from_numpy(self.images[resolution][chosen]).permute(0, 3, 1, 2).float() / 127.5 - 1
        tokens = self._image_tokens(pixels)
        likeness = self._likeness_loss(tokens, labels, self.recipe.patches_per_side(resolution) // GRID)
        losses = {
            "grid": self.classifiers[str(resolution)].loss(tokens, labels),
            "likeness": (1.0 if tower_only else LATE_LIKENESS) * likeness,
        }
        return Batch(scenes, tokens, () if tower_only else self.recipe.weighted(TYPES), losses)

    def _draw_resolution(self) -> int:
        small, large = self.recipe.resolutions
        early, late = self.recipe.large_shares
        return large if self._rng.random() < (early if self.progress < 0.5 else late) else small

    def _image_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            self.model.model.get_image_features(pixels, interpolate_pos_encoding=True).pooler_output
        )

    def _likeness_loss(self, tokens: torch.Tensor, labels: torch.Tensor, per_cell: int) -> torch.Tensor:
        """Returns the mean squared difference between image tokens and the embedding of their scenes."""
        with torch.no_grad():
            cells = self.embedding(labels, self.model.get_input_embeddings().weight)
            embedded = expand_cells(cells, per_cell)
        return torch.nn.functional.mse_loss(tokens, embedded)
