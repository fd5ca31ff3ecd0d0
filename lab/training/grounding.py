"""Visual grounding: trains words to point at the cells of the scene that they mean.

For the nouns of a question, and for the token before its answer, the model must predict which cells they are
about, and attend to them. Answers depend on this, and it is learned much faster as a separate task.
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
from lab.training.scene_embedding import expand_cells

CELLS = GRID * GRID
CELL_WEIGHT = 4.0
COUNT_WEIGHT = 0.3
MAX_COUNT = 9
EPSILON = 1e-4
ATTENTION_WEIGHT = 0.5
HEADS = 2
NO_NOUNS = (-1, -1)
SINGULAR = {
    **{shape: shape for shape in SHAPES},
    **{f"{s}es" if s.endswith("s") else f"{s}s": s for s in SHAPES},
}
NOUNS = "|".join(sorted(SINGULAR, key=len, reverse=True))
PHRASE = re.compile(rf"\b(?:(?P<colour>{'|'.join(COLOURS)}) )?(?P<noun>{NOUNS}|things?)\b")
HOP = re.compile(rf"just ({'|'.join(STEPS)}) the ")
RELATION = re.compile(r" (left|right|above|below)\b")


def evidence(question: Question, scene: Scene) -> tuple[list[tuple[int, frozenset[int]]], frozenset[int]]:
    """Finds the cells that a question is about.

    Returns:
        For each noun, the character where it ends and the cells that it means; and the cells that the answer
        depends on. Cells are numbered by row.
    """
    nouns = []
    for found in PHRASE.finditer(question.text):
        colour, shape = found["colour"], SINGULAR.get(found["noun"])
        if colour or shape:
            nouns.append((found.end(), _cells(t for t in scene.things if _matches(t, colour, shape))))
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


def _matches(thing: Thing, colour: str | None, shape: str | None) -> bool:
    return colour in (None, thing.colour) and shape in (None, thing.shape)


def _cells(things: Iterable[Thing]) -> frozenset[int]:
    return frozenset(thing.row * GRID + thing.column for thing in things)


def _moved(cell: int, step: tuple[int, int]) -> int:
    return cell + step[0] * GRID + step[1]


class GroundingTarget(NamedTuple):
    """A token that must point at cells: a noun, or the token before an answer.

    Attributes:
        row, column: Its image in the batch, and its column among the packed tokens of that image.
        cells: The cells that it is about.
        nouns: Columns of the first and the last noun for a token before an answer, NO_NOUNS if the question
            has none; None for a noun.
        neighbours: The cells one step from the noun's own, if the question asks about these.
        relation: Column of the word for the relation, such as "left".
    """

    row: int
    column: int
    cells: frozenset[int]
    nouns: tuple[int, int] | None = None
    neighbours: frozenset[int] | None = None
    relation: int | None = None


class GroundingHead(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Predicts cells from the hidden states of the decoder's inner layers."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, width: int) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self.norm = nn.RMSNorm(width)
        self.read = nn.Linear(width, CELLS)
        self.count = nn.Linear(width, MAX_COUNT + 1)

    def loss(self, hidden: Sequence[torch.Tensor], targets: Sequence[GroundingTarget]) -> torch.Tensor:
        """Returns the weighted sum of two cross entropies, of the cells and of their number.

        Each is the mean over targets and layers.

        Args:
            hidden: Hidden states of each inner layer, (batch, length, width).
        """
        rows, columns = [t.row for t in targets], [t.column for t in targets]
        cells = _multi_hot([t.cells for t in targets])
        number = cells.sum(1).long().clamp(max=MAX_COUNT)
        losses = []
        for layer in hidden:
            state = self.norm(layer[rows, columns])
            cell_loss = nn.functional.binary_cross_entropy_with_logits(self.read(state), cells)
            losses.append(CELL_WEIGHT * cell_loss)
            losses.append(COUNT_WEIGHT * nn.functional.cross_entropy(self.count(state), number))
        return 2 * torch.stack(losses).mean()

    def targets(
        self, questions: Sequence[Sequence[Question]], scenes: Sequence[Scene]
    ) -> list[GroundingTarget]:
        """Returns the targets of the questions of each image, in the order in which they are packed."""
        targets = []
        for row, (asked, scene) in enumerate(zip(questions, scenes, strict=True)):
            first = 0
            for question in asked:
                ends, answer = self._token_ends(question.text), self._token_ends(question.answer)
                nouns, about = evidence(question, scene)
                columns = [first + bisect_left(ends, end) for end, _ in nouns]
                word = RELATION.search(question.text)
                relation = first + bisect_left(ends, word.end()) if word else None
                neighbours = about if HOP.search(question.text) else None
                targets += [
                    GroundingTarget(
                        row,
                        column,
                        cells,
                        neighbours=neighbours,
                        relation=relation if neighbours else None,
                    )
                    for column, (_, cells) in zip(columns, nouns, strict=True)
                ]
                ends_of_nouns = (columns[0], columns[-1]) if columns else NO_NOUNS
                targets.append(
                    GroundingTarget(row, first + len(ends), about, ends_of_nouns, relation=relation)
                )
                first += len(ends) + 1 + len(answer) + 1  # with the tokens before and after the answer
        return targets

    @cache  # noqa: B019 # one instance per training, and a few thousand texts
    def _token_ends(self, text: str) -> list[int]:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [end for _, end in encoded["offset_mapping"]]


def attention_loss(
    attentions: Sequence[torch.Tensor], targets: Sequence[GroundingTarget], tokens: int
) -> torch.Tensor:
    """Returns the mean of -log of the attention that some heads pay to the right places.

    In the second layer, which knows adjectives, nouns attend to their cells, or to themselves if they have
    none. In the last layer, the tokens before answers attend to their cells. If there is a layer in
    between, its first heads make nouns attend to neighbouring cells if the question asks about them, and
    the tokens before answers to the first and the last noun; another head makes them attend to the word for
    the relation.

    Args:
        attentions: Of each layer, (batch, heads, length, length).
        tokens: Number of image tokens, which come first in the sequence.
    """
    nouns = [t for t in targets if t.nouns is None]
    answers = [t for t in targets if t.nouns is not None]
    losses = [_cell_loss(attentions[1], nouns, [t.cells for t in nouns], tokens)]
    with_cells = [t for t in answers if t.cells]
    losses.append(_cell_loss(attentions[-1], with_cells, [t.cells for t in with_cells], tokens))
    if len(attentions) > 3:
        hops = [t for t in nouns if t.neighbours]
        if hops:
            losses.append(_cell_loss(attentions[-2], hops, [t.neighbours or t.cells for t in hops], tokens))
            losses.append(_token_loss(attentions[1], hops, [t.relation or 0 for t in hops], HEADS, tokens))
        with_nouns = [t for t in answers if t.nouns and t.nouns != NO_NOUNS]
        for head in (0, 1):
            columns = [t.nouns[head] for t in with_nouns if t.nouns]
            losses.append(_token_loss(attentions[-2], with_nouns, columns, head, tokens))
        with_relation = [t for t in answers if t.relation is not None]
        if with_relation:
            columns = [t.relation or 0 for t in with_relation]
            losses.append(_token_loss(attentions[-2], with_relation, columns, HEADS, tokens))
    return ATTENTION_WEIGHT * torch.stack(losses).mean()


def _cell_loss(
    attention: torch.Tensor,
    targets: Sequence[GroundingTarget],
    cells: Sequence[frozenset[int]],
    tokens: int,
) -> torch.Tensor:
    """Returns the loss of the first heads; each target must attend to its `cells`, or to itself if none."""
    n = int(tokens**0.5) // GRID
    wanted = _multi_hot(cells)
    columns = torch.tensor([t.column for t in targets]) + tokens
    paid = attention[[t.row for t in targets], :HEADS, columns]
    to_cells = (paid[..., :tokens] * expand_cells(wanted[..., None], n).mT).sum(-1)
    to_itself = paid.gather(-1, columns[:, None, None].expand(-1, HEADS, 1)).squeeze(-1)
    return -(torch.where(wanted.any(dim=1)[:, None], to_cells, to_itself) + EPSILON).log().mean()


def _token_loss(
    attention: torch.Tensor,
    targets: Sequence[GroundingTarget],
    columns: Sequence[int],
    head: int,
    tokens: int,
) -> torch.Tensor:
    """Returns the loss of one head, where each target must attend to the token in one of `columns`."""
    rows, own = [t.row for t in targets], [t.column + tokens for t in targets]
    return -(attention[rows, head, own, [column + tokens for column in columns]] + EPSILON).log().mean()


def _multi_hot(wanted: Sequence[frozenset[int]]) -> torch.Tensor:
    return torch.tensor([[float(cell in cells) for cell in range(CELLS)] for cells in wanted])
