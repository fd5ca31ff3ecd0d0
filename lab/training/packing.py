"""Several questions behind one image, each blind to the others, so that the image is paid for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from lab.scenes.question import Question
from lab.training.model import ANSWER, END

IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """Question tokens of a batch, behind `prefix` image tokens that are not among them.

    Attributes:
        ids, labels: (batch, length); labels are IGNORED but at answers.
        positions: (batch, prefix + length); each question continues where the image ended.
        mask: (batch, 1, prefix + length, prefix + length), True where a token may look.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor


def pack(batch: Sequence[Sequence[Question]], tokenizer: PreTrainedTokenizerFast, prefix: int) -> Packed:
    """Tokenise the questions of each image of a batch."""
    rows = [[_tokens(question, tokenizer) for question in questions] for questions in batch]
    length = max(sum(len(ids) for ids, _ in row) for row in rows)
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    labels = torch.full((len(rows), length), IGNORED)
    positions = torch.zeros((len(rows), prefix + length), dtype=torch.long)
    positions[:, :prefix] = torch.arange(prefix)
    segments = torch.full((len(rows), prefix + length), -1)
    segments[:, :prefix] = 0
    for r, row in enumerate(rows):
        at = 0
        for segment, (tokens, answer_at) in enumerate(row, start=1):
            end = at + len(tokens)
            ids[r, at:end] = torch.tensor(tokens)
            labels[r, at + answer_at : end] = ids[r, at + answer_at : end]
            positions[r, prefix + at : prefix + end] = prefix + torch.arange(len(tokens))
            segments[r, prefix + at : prefix + end] = segment
            at = end
    causal = torch.ones(prefix + length, prefix + length, dtype=torch.bool).tril()
    same = (segments[:, :, None] == segments[:, None, :]) | (segments[:, None, :] == 0)
    return Packed(ids, labels, positions, (causal & same)[:, None])


def _tokens(question: Question, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], int]:
    asked = tokenizer.encode(question.text + ANSWER, add_special_tokens=False)
    answer = tokenizer.encode(question.answer + END, add_special_tokens=False)
    return asked + answer, len(asked)
