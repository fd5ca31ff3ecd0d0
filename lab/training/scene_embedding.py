"""Cell tokens that say what stands in a scene without a picture of it.

A decoder learns to reason over them before it has eyes: a question's words look like the tokens they are
about, which is what attention needs to find them. A tower is then taught to see the same tokens in a picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from lab.scenes.scene import COLOURS, GRID, TEXTURES
from lab.training.cell_classifier import CHARACTERS, FACETS, KINDS, LONGEST_PLATE
from lab.training.model import WORD_STD

OWN_STD = 0.3 * WORD_STD
WORDS = {
    "kind": KINDS,
    "colour": ("", *COLOURS),
    "texture": ("", *TEXTURES),
    "size": ("", "small", "large"),
    "value": ("", *map(str, range(10))),
    **{f"character {i}": ("",) * (1 + len(CHARACTERS)) for i in range(LONGEST_PLATE)},  # alike in any place
}


class Symbols(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One token for each cell: the words of what stands there, with a share of its own, and where it is."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, width: int) -> None:
        super().__init__()
        self._ids = {name: [_ids(tokenizer, word) for word in words] for name, words in WORDS.items()}
        self.own = nn.ParameterDict({name: _own(words, width) for name, words in WORDS.items()})
        self.place = nn.Parameter(torch.randn(GRID * GRID, width) * WORD_STD)

    def forward(self, labels: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(batch, cells, width), for `labels` as from `grid.truth` and the decoder's word table."""
        facets = [self._table(name, words)[labels[..., i]] for i, name in enumerate(FACETS)]
        return torch.stack(facets).sum(0).flatten(1, 2) + self.place

    def _table(self, name: str, words: torch.Tensor) -> torch.Tensor:
        rows = [words[ids].mean(0) if ids else words.new_zeros(words.shape[1]) for ids in self._ids[name]]
        return torch.stack(rows) + self.own[name]


def _own(words: Sequence[str], width: int) -> torch.Tensor:
    """What each class has beside its word; all, where there are no words, and nothing for "none of these"."""
    own = torch.randn(len(words), width) * (OWN_STD if any(words) else WORD_STD)
    if not words[0]:
        own[0] = 0
    return own


def spread(cells: torch.Tensor, n: int) -> torch.Tensor:
    """Give each of a cell's n * n image tokens what the cell has.

    (batch, cells, width) becomes (batch, cells * n * n, width), in the order of image tokens.
    """
    batch, _, width = cells.shape
    grid = cells.view(batch, GRID, 1, GRID, 1, width).expand(-1, -1, n, -1, n, -1)
    return grid.reshape(batch, GRID * n * GRID * n, width)


def _ids(tokenizer: PreTrainedTokenizerFast, word: str) -> list[int]:
    return list(tokenizer.encode(f" {word}", add_special_tokens=False)) if word else []
