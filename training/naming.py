"""Image tokens taught to name what they show, in the decoder's own words.

Each cell's tokens, averaged and read through the decoder's output, should say the words of the thing in it.
A question's word then looks like the image tokens it is about, which is what attention needs to find them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from scenes.scene import COLOURS, GRID, SHAPES, Scene


class Naming:
    """The loss of not naming things."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, side: int) -> None:
        self._per_cell = side // GRID
        self._ids = {word: _single(tokenizer, word) for word in (*SHAPES, *COLOURS)}

    def loss(
        self, tokens: torch.Tensor, scenes: Sequence[Scene], model: LlavaForConditionalGeneration
    ) -> torch.Tensor:
        """Mean cross entropy of the words; tokens (batch, side*side, width) as the decoder gets them."""
        batch, _, width = tokens.shape
        n = self._per_cell
        cells = tokens.view(batch, GRID, n, GRID, n, width).mean(dim=(2, 4))
        at = [(b, t.row, t.column, t) for b, scene in enumerate(scenes) for t in scene.things]
        chosen = cells[[b for b, *_ in at], [r for _, r, _, _ in at], [c for _, _, c, _ in at]]
        scores = model.lm_head(model.model.language_model.norm(chosen)).log_softmax(dim=-1)
        wanted = torch.tensor([[self._ids[t.shape], self._ids[t.colour]] for *_, t in at])
        return -scores.gather(1, wanted).mean()


def _single(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    (number,) = tokenizer.encode(f" {word}", add_special_tokens=False)
    return int(number)
