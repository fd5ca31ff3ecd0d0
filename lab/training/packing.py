"""Sequence packing: several questions follow one image, which is encoded only once.

The questions do not attend to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from lab.scenes.question import Question
from lab.training.model import ANSWER, END

IGNORED = -100


@dataclass(frozen=True)
class PackedBatch:
    """Question tokens of a batch, which follow `prefix` image tokens.

    Attributes:
        ids, labels: (batch, length), without the image tokens; labels are IGNORED except in answers.
        positions: (batch, prefix + length); the positions of each question start after the image.
        mask: (batch, 1, prefix + length, prefix + length), True where a token may attend.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor


def pack(batch: Sequence[Sequence[Question]], tokenizer: PreTrainedTokenizerFast, prefix: int) -> PackedBatch:
    """Tokenises and packs the questions of each image of a batch."""
    rows = [[_tokens(question, tokenizer) for question in questions] for questions in batch]
    length = max(sum(len(ids) for ids, _ in row) for row in rows)
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    labels = torch.full((len(rows), length), IGNORED)
    positions = torch.zeros((len(rows), prefix + length), dtype=torch.long)
    positions[:, :prefix] = torch.arange(prefix)
    segments = torch.full((len(rows), prefix + length), -1)
    segments[:, :prefix] = 0
    for r, row in enumerate(rows):
        start = 0
        for segment, (tokens, answer_start) in enumerate(row, start=1):
            end = start + len(tokens)
            ids[r, start:end] = torch.tensor(tokens)
            labels[r, start + answer_start : end] = ids[r, start + answer_start : end]
            positions[r, prefix + start : prefix + end] = prefix + torch.arange(len(tokens))
            segments[r, prefix + start : prefix + end] = segment
            start = end
    causal = torch.ones(prefix + length, prefix + length, dtype=torch.bool).tril()
    same = (segments[:, :, None] == segments[:, None, :]) | (segments[:, None, :] == 0)
    return PackedBatch(ids, labels, positions, (causal & same)[:, None])


def _tokens(question: Question, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], int]:
    """Returns the tokens of a question and its answer, and where the answer starts."""
    prompt = tokenizer.encode(question.text + ANSWER, add_special_tokens=False)
    answer = tokenizer.encode(question.answer + END, add_special_tokens=False)
    return prompt + answer, len(prompt)
