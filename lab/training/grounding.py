"""Words taught to point at what they mean.

A question's nouns, and the place where its answer begins, must tell which cells of the scene they are about,
and attend to them. An answer is made from this, and it is learned far sooner when it is asked for by itself.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from lab.scenes.question import STEPS, Question
from lab.scenes.scene import COLOURS, GRID, SHAPES, Scene, Thing
from lab.training.scene_embedding import spread

CELLS = GRID * GRID
WEIGHT = 4.0
COUNT_WEIGHT = 0.3
MOST = 9
FAINT = 1e-4
ATTENTION_WEIGHT = 0.5
HEADS = 2
SINGULAR = {
    **{shape: shape for shape in SHAPES},
    **{f"{s}es" if s.endswith("s") else f"{s}s": s for s in SHAPES},
}
NOUNS = "|".join(sorted(SINGULAR, key=len, reverse=True))
PHRASE = re.compile(rf"\b(?:(?P<colour>{'|'.join(COLOURS)}) )?(?P<noun>{NOUNS}|things?)\b")
HOP = re.compile(rf"just ({'|'.join(STEPS)}) the ")
RELATION = re.compile(r" (left|right|above|below)\b")


def evidence(question: Question, scene: Scene) -> tuple[list[tuple[int, frozenset[int]]], frozenset[int]]:
    """(character where a noun ends, cells it is about) for each noun, and the cells the answer is about."""
    nouns = []
    for found in PHRASE.finditer(question.text):
        colour, shape = found["colour"], SINGULAR.get(found["noun"])
        if colour or shape:
            nouns.append((found.end(), _cells(t for t in scene.things if _fits(t, colour, shape))))
    about = frozenset().union(*(cells for _, cells in nouns))
    if (hop := HOP.search(question.text)) and nouns:
        about = frozenset(_moved(cell, STEPS[hop[1]]) for cell in nouns[-1][1])
    elif question.type == "reading" and scene.plate:
        about = frozenset({scene.plate.row * GRID + scene.plate.column + i for i in (0, 1)})
    elif question.type == "gauge" and scene.gauge:
        corner = scene.gauge.row * GRID + scene.gauge.column
        about = frozenset({corner, corner + 1, corner + GRID, corner + GRID + 1})
    elif question.type == "sign" and scene.sign:
        about = frozenset({scene.sign.row * GRID + scene.sign.column})
    return nouns, about


def _fits(thing: Thing, colour: str | None, shape: str | None) -> bool:
    return colour in (None, thing.colour) and shape in (None, thing.shape)


def _cells(things: Iterable[Thing]) -> frozenset[int]:
    return frozenset(thing.row * GRID + thing.column for thing in things)


def _moved(cell: int, step: tuple[int, int]) -> int:
    return cell + step[0] * GRID + step[1]


class Target(NamedTuple):
    """A token that must point.

    Attributes:
        row, column: its image in the batch and its place among that image's packed questions.
        cells: what it is about.
        nouns: columns of the first and the last noun, where an answer begins; None for a noun.
        next: the cells one step on from a noun's own, where the question asks about them.
        relation: column of the word that relates what the question is about, such as "left".
    """

    row: int
    column: int
    cells: frozenset[int]
    nouns: tuple[int, int] | None = None
    next: frozenset[int] | None = None
    relation: int | None = None


class Grounding(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The loss of not pointing: read from the hidden states of the decoder's inner layers."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, width: int) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self.norm = nn.RMSNorm(width)
        self.read = nn.Linear(width, CELLS)
        self.count = nn.Linear(width, MOST + 1)

    def loss(self, hidden: Sequence[torch.Tensor], targets: Sequence[Target]) -> torch.Tensor:
        """Weighted mean of two cross entropies over tokens and inner layers: which cells, and how many."""
        rows, columns = [t.row for t in targets], [t.column for t in targets]
        cells = _table([t.cells for t in targets])
        number = cells.sum(1).long().clamp(max=MOST)
        losses = []
        for state in hidden:
            known = self.norm(state[rows, columns])
            losses.append(WEIGHT * nn.functional.binary_cross_entropy_with_logits(self.read(known), cells))
            losses.append(COUNT_WEIGHT * nn.functional.cross_entropy(self.count(known), number))
        return 2 * torch.stack(losses).mean()

    def targets(self, questions: Sequence[Sequence[Question]], scenes: Sequence[Scene]) -> list[Target]:
        """What must point where, for the questions of each image in the order in which they were packed."""
        found = []
        for row, (asked, scene) in enumerate(zip(questions, scenes, strict=True)):
            first = 0
            for question in asked:
                ends, answer = self._ends(question.text), self._ends(question.answer)
                nouns, about = evidence(question, scene)
                places = [first + bisect_left(ends, end) for end, _ in nouns]
                word = RELATION.search(question.text)
                relation = first + bisect_left(ends, word.end()) if word else None
                hop = about if HOP.search(question.text) else None
                found += [
                    Target(row, at, own, next=hop, relation=relation if hop else None)
                    for at, (_, own) in zip(places, nouns, strict=True)
                ]
                both = (places[0], places[-1]) if places else (-1, -1)
                found.append(Target(row, first + len(ends), about, both, relation=relation))
                first += len(ends) + 1 + len(answer) + 1  # the token that asks for the answer, and the end
        return found

    @cache  # noqa: B019 # one instance a run, and a few thousand texts
    def _ends(self, text: str) -> list[int]:
        coded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [end for _, end in coded["offset_mapping"]]


def attention_loss(
    attentions: Sequence[torch.Tensor], targets: Sequence[Target], tokens: int
) -> torch.Tensor:
    """Mean of -log of the attention that the first heads give to what they should.

    Nouns look at their cells, or at themselves where there are none, in the second layer, which knows their
    adjectives; answers look at theirs in the last. With a layer between, nouns look one step on there where
    the question does, and answers look at the first and the last noun; another head at what relates them.

    Args:
        attentions: of each layer, (batch, heads, length, length).
        tokens: image tokens, first in the sequence.
    """
    nouns = [t for t in targets if t.nouns is None]
    answers = [t for t in targets if t.nouns is not None]
    losses = [_unseen(attentions[1], nouns, [t.cells for t in nouns], tokens)]
    seeing = [t for t in answers if t.cells]
    losses.append(_unseen(attentions[-1], seeing, [t.cells for t in seeing], tokens))
    if len(attentions) > 3:
        hops = [t for t in nouns if t.next]
        if hops:
            losses.append(_unseen(attentions[-2], hops, [t.next or t.cells for t in hops], tokens))
            losses.append(_unread(attentions[1], hops, [t.relation or 0 for t in hops], HEADS, tokens))
        asking = [t for t in answers if t.nouns and t.nouns != (-1, -1)]
        for head in (0, 1):
            both = [t.nouns[head] for t in asking if t.nouns]
            losses.append(_unread(attentions[-2], asking, both, head, tokens))
        relating = [t for t in answers if t.relation is not None]
        if relating:
            words = [t.relation or 0 for t in relating]
            losses.append(_unread(attentions[-2], relating, words, HEADS, tokens))
    return ATTENTION_WEIGHT * torch.stack(losses).mean()


def _unseen(
    layer: torch.Tensor, targets: Sequence[Target], wanted: Sequence[frozenset[int]], tokens: int
) -> torch.Tensor:
    n = int(tokens**0.5) // GRID
    cells = _table(wanted)
    columns = torch.tensor([t.column for t in targets]) + tokens
    given = layer[[t.row for t in targets], :HEADS, columns]
    onto = (given[..., :tokens] * spread(cells[..., None], n).mT).sum(-1)
    itself = given.gather(-1, columns[:, None, None].expand(-1, HEADS, 1)).squeeze(-1)
    return -(torch.where(cells.any(dim=1)[:, None], onto, itself) + FAINT).log().mean()


def _unread(
    layer: torch.Tensor, targets: Sequence[Target], wanted: Sequence[int], head: int, tokens: int
) -> torch.Tensor:
    rows, columns = [t.row for t in targets], [t.column + tokens for t in targets]
    return -(layer[rows, head, columns, [at + tokens for at in wanted]] + FAINT).log().mean()


def _table(wanted: Sequence[frozenset[int]]) -> torch.Tensor:
    return torch.tensor([[float(cell in cells) for cell in range(CELLS)] for cells in wanted])
