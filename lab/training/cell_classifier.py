"""What stands in each cell of a scene's grid, as a task beside the questions: it teaches the tower to see."""

from __future__ import annotations

import string
from collections.abc import Collection, Sequence

import torch
from torch import nn

from lab.scenes.scene import COLOURS, GRID, SHAPES, SIGNS, TEXTURES, Scene

CHARACTERS = string.ascii_lowercase + string.digits
LONGEST_PLATE = 3
KINDS = ("nothing", *SHAPES, "plate", "gauge", *SIGNS)
FACETS = {
    "kind": len(KINDS),
    "colour": 1 + len(COLOURS),
    "texture": 1 + len(TEXTURES),
    "size": 3,
    "value": 11,
    **{f"character {i}": 1 + len(CHARACTERS) for i in range(LONGEST_PLATE)},
}
NEEDED_FOR = {
    **{"texture": "texture", "size": "comparison", "value": "gauge"},
    **{f"character {i}": "reading" for i in range(LONGEST_PLATE)},
}


def needed(types: Collection[str]) -> tuple[str, ...]:
    """The facets that questions of these types are about: a small tower has no room for others."""
    return tuple(facet for facet in FACETS if NEEDED_FOR.get(facet) in (None, *types))


def truth(scenes: Sequence[Scene], facets: Collection[str] = tuple(FACETS)) -> torch.Tensor:
    """(batch, GRID, GRID, len(FACETS)) class numbers; 0, as where nothing is, of all but these facets."""
    labels = torch.zeros(len(scenes), GRID, GRID, len(FACETS), dtype=torch.long)
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
    return labels * torch.tensor([facet in facets for facet in FACETS])


class GridHead(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Reads each cell's facets from the image tokens that cover it."""

    def __init__(self, width: int, side: int, facets: Sequence[str]) -> None:
        super().__init__()
        self._facets = facets
        self._per_cell = side // GRID
        self.read = nn.Linear(width * self._per_cell**2, sum(FACETS[facet] for facet in facets))

    def loss(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross entropy, mean over facets; tokens (batch, side*side, width), labels as from `truth`.

        Cells that have a facet weigh as much as the many that have not: few show a gauge or a character.
        """
        batch, _, width = tokens.shape
        n = self._per_cell
        cells = tokens.view(batch, GRID, n, GRID, n, width).permute(0, 1, 3, 2, 4, 5).flatten(3)
        total = tokens.new_zeros(())
        sizes = [FACETS[facet] for facet in self._facets]
        for facet, scores in zip(self._facets, self.read(cells).split(sizes, dim=-1), strict=True):
            wanted = labels[..., tuple(FACETS).index(facet)].flatten()
            losses = nn.functional.cross_entropy(scores.flatten(0, 2), wanted, reduction="none")
            for some in (wanted > 0, wanted == 0):
                if some.any():
                    total = total + losses[some].mean() / 2
        return total / len(self._facets)
