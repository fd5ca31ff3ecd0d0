"""An auxiliary task that teaches the tower to see: classify the content of each cell of a scene's grid."""

from __future__ import annotations

import string
from collections.abc import Collection, Sequence

import torch
from torch import nn

from lab.scenes.scene import COLOURS, GRID, SHAPES, SIGNS, TEXTURES, Scene

CHARACTERS = string.ascii_lowercase + string.digits
MAX_PLATE_LENGTH = 3
KINDS = ("nothing", *SHAPES, "plate", "gauge", *SIGNS)
# Number of classes of each attribute; class 0 is "none".
ATTRIBUTES = {
    "kind": len(KINDS),
    "colour": 1 + len(COLOURS),
    "texture": 1 + len(TEXTURES),
    "size": 3,
    "value": 11,
    **{f"character {i}": 1 + len(CHARACTERS) for i in range(MAX_PLATE_LENGTH)},
}
# The only type of question that needs the attribute; all types need the others.
NEEDED_BY = {
    **{"texture": "texture", "size": "comparison", "value": "gauge"},
    **{f"character {i}": "reading" for i in range(MAX_PLATE_LENGTH)},
}


def needed_attributes(types: Collection[str]) -> tuple[str, ...]:
    """Returns the attributes that questions of these types need: a small tower cannot learn more."""
    return tuple(name for name in ATTRIBUTES if NEEDED_BY.get(name) in (None, *types))


def cell_labels(scenes: Sequence[Scene], attributes: Collection[str] = tuple(ATTRIBUTES)) -> torch.Tensor:
    """Returns class numbers of shape (batch, GRID, GRID, len(ATTRIBUTES)); 0 for all but `attributes`."""
    labels = torch.zeros(len(scenes), GRID, GRID, len(ATTRIBUTES), dtype=torch.long)
    for b, scene in enumerate(scenes):
        for thing in scene.things:
            labels[b, thing.row, thing.column, :4] = torch.tensor(
                [
                    KINDS.index(thing.shape),
                    1 + COLOURS.index(thing.colour),
                    1 + TEXTURES.index(thing.texture),
                    1 + thing.large,
                ]
            )
        if scene.plate:
            r, c = scene.plate.row, scene.plate.column
            labels[b, r, c : c + 2, 0] = KINDS.index("plate")
            for i, character in enumerate(scene.plate.text):
                labels[b, r, c : c + 2, 5 + i] = 1 + CHARACTERS.index(character)
        if scene.gauge:
            r, c = scene.gauge.row, scene.gauge.column
            labels[b, r : r + 2, c : c + 2, 0] = KINDS.index("gauge")
            labels[b, r : r + 2, c : c + 2, 4] = 1 + scene.gauge.value
        if scene.sign:
            labels[b, scene.sign.row, scene.sign.column, 0] = KINDS.index(scene.sign.kind)
    return labels * torch.tensor([name in attributes for name in ATTRIBUTES])


class CellClassifier(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Predicts each cell's attributes from the image tokens that cover it.

    Args:
        width: Size of an image token.
        side: Image tokens along one side of the image.
    """

    def __init__(self, width: int, side: int, attributes: Sequence[str]) -> None:
        super().__init__()
        self._attributes = attributes
        self._per_cell = side // GRID
        self.read = nn.Linear(width * self._per_cell**2, sum(ATTRIBUTES[name] for name in attributes))

    def loss(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the cross entropy, as a mean over attributes.

        For each attribute, cells with class 0 together have the same weight as all other cells, because few
        cells have a gauge or a character.

        Args:
            tokens: (batch, side * side, width).
            labels: As returned by `cell_labels`.
        """
        batch, _, width = tokens.shape
        n = self._per_cell
        cells = tokens.view(batch, GRID, n, GRID, n, width).permute(0, 1, 3, 2, 4, 5).flatten(3)
        total = tokens.new_zeros(())
        sizes = [ATTRIBUTES[name] for name in self._attributes]
        for name, logits in zip(self._attributes, self.read(cells).split(sizes, dim=-1), strict=True):
            classes = labels[..., tuple(ATTRIBUTES).index(name)].flatten()
            losses = nn.functional.cross_entropy(logits.flatten(0, 2), classes, reduction="none")
            for selected in (classes > 0, classes == 0):
                if selected.any():
                    total = total + losses[selected].mean() / 2
        return total / len(self._attributes)
