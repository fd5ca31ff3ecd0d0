"""Second half of a training: a tower that sees in pictures what its decoder has been told so far."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lab.scenes.question import TYPES
from lab.scenes.scene import GRID, Scene
from lab.training.cell_classifier import GridHead, needed, truth
from lab.training.dataset import TRAIN, picture_file, scene
from lab.training.decoder_trainer import Reasoning
from lab.training.recipes import Recipe
from lab.training.scene_embedding import Symbols, spread
from lab.training.trainer import Look, Run

ALONE_SHARE = 0.5  # of the run: the time in which the tower learns to see before anything is asked
MORE = 3  # times as many images in a batch then
TOLD_SHARE = 0.25  # share of the later batches that are symbols: what is known of reasoning must not be lost
LOOSE = 0.1  # how much image tokens are held to the symbols then


class Seeing(Run):
    """Trains a whole model, beginning with a decoder that can reason."""

    def __init__(self, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        super().__init__(recipe.name, recipe, folder, seed=seed)
        self.symbols = Symbols(self.tokenizer, recipe.width)
        self._facets = needed(recipe.mixed(TYPES))
        self.grids = torch.nn.ModuleDict(
            {str(r): GridHead(recipe.width, recipe.side(r), self._facets) for r in recipe.resolutions}
        )
        self.parts |= {
            "tower": self.model.model.vision_tower,
            "projector": self.model.model.multi_modal_projector,
            "symbols": self.symbols,
            "grids": self.grids,
        }

    def take_decoder(self) -> None:
        """Begin with what the decoder's own run has learned."""
        self.take(Reasoning(self.recipe, self.folder), ("decoder", "head", "grounding", "symbols"))

    def prune(self, larger: Seeing) -> None:
        """Begin as another model, with layers of its tower left out evenly (Sanh et al., arXiv 1910.01108).

        Raises:
            FileNotFoundError: the other has not been trained yet.
        """
        every = larger.recipe.tower_layers // self.recipe.tower_layers
        self.take(larger, [part for part in self.parts if part != "tower"])
        held = larger.saved()["parts"]["tower"]
        kept = {f"layers.{i * every}.": f"layers.{i}." for i in range(self.recipe.tower_layers)}
        tower = {name: value for name, value in held.items() if ".layers." not in name}
        for name, value in held.items():
            for old, new in kept.items():
                if f".{old}" in name:
                    tower[name.replace(old, new)] = value
        self.parts["tower"].load_state_dict(tower)

    @cached_property
    def pictures(self) -> dict[int, NDArray[np.uint8]]:
        """The rendered training scenes by side, (scenes, side, side, 3); exporting needs none of them."""
        files = {r: picture_file(self.folder, TRAIN, r) for r in self.recipe.resolutions}
        return {r: np.asanyarray(np.load(file, mmap_mode="r")) for r, file in files.items()}

    @cached_property
    def scenes(self) -> list[Scene]:
        """What stands in each picture."""
        return [scene(TRAIN, index) for index in range(len(self.pictures[self.recipe.image]))]

    def look(self) -> Look:
        """Pictures at one of the resolutions, or now and then still symbols: they cost no tower."""
        alone = self.share < ALONE_SHARE
        chosen = np.sort(
            self._rng.integers(len(self.scenes), size=self.recipe.batch * (MORE if alone else 1))
        )
        drawn = [self.scenes[index] for index in chosen]
        labels = truth(drawn, self._facets)
        if not alone and self._rng.random() < TOLD_SHARE:
            cells = self.symbols(labels, self.model.get_input_embeddings().weight)
            return Look(drawn, spread(cells, int(self._rng.integers(1, 3))), self.recipe.mixed(TYPES))
        resolution = self._resolution()
        pixels = torch.from_numpy(self.pictures[resolution][chosen]).permute(0, 3, 1, 2).float() / 127.5 - 1
        seen = self._see(pixels)
        held = 1.0 if alone else LOOSE
        losses = {
            "grid": self.grids[str(resolution)].loss(seen, labels),
            "likeness": held * self._unlike(seen, labels, self.recipe.side(resolution) // GRID),
        }
        return Look(drawn, seen, () if alone else self.recipe.mixed(TYPES), losses)

    def _resolution(self) -> int:
        small, large = self.recipe.resolutions
        early, late = self.recipe.fine
        return large if self._rng.random() < (early if self.share < 0.5 else late) else small

    def _see(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            self.model.model.get_image_features(pixels, interpolate_pos_encoding=True).pooler_output
        )

    def _unlike(self, seen: torch.Tensor, labels: torch.Tensor, per_cell: int) -> torch.Tensor:
        """Mean square by which tokens differ from their cell's symbol."""
        with torch.no_grad():
            told = spread(self.symbols(labels, self.model.get_input_embeddings().weight), per_cell)
        return torch.nn.functional.mse_loss(seen, told)
