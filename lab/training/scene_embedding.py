"""Embeds a scene's content as image tokens, without an image.

A decoder learns to reason over these tokens first: the words of a question are similar to the tokens that
they mean, which attention needs to find them. Then a tower learns to produce the same tokens from an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from lab.scenes.scene import COLOURS, GRID, TEXTURES
from lab.training.cell_classifier import ATTRIBUTES, CHARACTERS, KINDS, MAX_PLATE_LENGTH
from lab.training.model import WORD_STD

OWN_STD = 0.3 * WORD_STD
# The word of each class of an attribute; empty for a class without a word.
WORDS = {
    "kind": KINDS,
    "colour": ("", *COLOURS),
    "texture": ("", *TEXTURES),
    "size": ("", "small", "large"),
    "value": ("", *map(str, range(10))),
    **{f"character {i}": ("",) * (1 + len(CHARACTERS)) for i in range(MAX_PLATE_LENGTH)},
}


class SceneEmbedding(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One token per cell: the sum of its attributes' word and class vectors and of its position."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, width: int) -> None:
        super().__init__()
        self._ids = {name: [_ids(tokenizer, word) for word in words] for name, words in WORDS.items()}
        self.own = nn.ParameterDict({name: _class_vectors(words, width) for name, words in WORDS.items()})
        self.place = nn.Parameter(torch.randn(GRID * GRID, width) * WORD_STD)

    def forward(self, labels: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Returns tokens of shape (batch, cells, width).

        Args:
            labels: As returned by `cell_labels`.
            words: The decoder's word embeddings.
        """
        vectors = [self._vectors(name, words)[labels[..., i]] for i, name in enumerate(ATTRIBUTES)]
        return torch.stack(vectors).sum(0).flatten(1, 2) + self.place

    def _vectors(self, name: str, words: torch.Tensor) -> torch.Tensor:
        rows = [words[ids].mean(0) if ids else words.new_zeros(words.shape[1]) for ids in self._ids[name]]
        return torch.stack(rows) + self.own[name]


def _class_vectors(words: Sequence[str], width: int) -> torch.Tensor:
    """Returns a random vector per class: smaller if classes have words, and 0 for the class "none"."""
    vectors = torch.randn(len(words), width) * (OWN_STD if any(words) else WORD_STD)
    if not words[0]:
        vectors[0] = 0
    return vectors


def expand_cells(cells: torch.Tensor, n: int) -> torch.Tensor:
    """Copies each cell's vector to its n * n image tokens.

    Returns:
        (batch, cells * n * n, width) in the order of image tokens, for `cells` of (batch, cells, width).
    """
    batch, _, width = cells.shape
    grid = cells.view(batch, GRID, 1, GRID, 1, width).expand(-1, -1, n, -1, n, -1)
    return grid.reshape(batch, GRID * n * GRID * n, width)


def _ids(tokenizer: PreTrainedTokenizerFast, word: str) -> list[int]:
    return list(tokenizer.encode(f" {word}", add_special_tokens=False)) if word else []
