"""What a checkpoint answers on scenes it was not trained on, through the code path any checkpoint takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from lab.scenes.question import TYPES, Question, ask
from lab.scenes.render import render
from lab.scenes.scene import Scene
from lab.training.dataset import HELD_OUT, scene, sent
from vlm.checkpoint import Checkpoint, Quantization
from vlm.loading import load
from vlm.schema import ChatRequest, Message

LONGEST_ANSWER = 8


@dataclass(frozen=True)
class Graded:
    """One question of the held-out split with a model's answer to it."""

    question: Question
    fault: str
    answer: str

    @property
    def right(self) -> bool:
        """Whether the answer is the truth, to the letter."""
        return self.answer == self.question.answer


def held_out(per_type: int) -> Iterator[tuple[Scene, Question]]:
    """`per_type` questions of each type, at most one of a type per scene."""
    rng = np.random.default_rng([HELD_OUT, 0])
    missing = Counter(dict.fromkeys(TYPES, per_type))
    index = 0
    while missing:
        drawn = scene(HELD_OUT, index)
        index += 1
        for name in sorted(missing):
            for question in ask(drawn, rng, 1, [name]):
                yield drawn, question
                missing[name] -= 1
        missing = +missing


def grade(folder: Path, per_type: int, quantization: Quantization, resolution: int) -> list[Graded]:
    """Answer the held-out questions with the checkpoint in `folder`, loaded and asked as the server does.

    Images come as a device sends them at `resolution` pixels.
    """
    model = load(Checkpoint.at(str(folder), quantization), "cpu", LONGEST_ANSWER, lambda _share: None)
    graded = []
    for drawn, question in track(
        list(held_out(per_type)), f"Grading {folder.name}@{resolution} as {quantization}"
    ):
        request = ChatRequest(None, (Message("user", (sent(render(drawn), resolution), question.text)),))
        answer = model.generate(request, max_tokens=LONGEST_ANSWER, check=lambda: None)
        graded.append(Graded(question, drawn.fault, answer.text.strip()))
    return graded


def accuracy(graded: Sequence[Graded], by: str) -> dict[str, float]:
    """Share of right answers by question `type` or camera `fault`."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for one in graded:
        groups[one.question.type if by == "type" else one.fault].append(one.right)
    return {name: float(np.mean(rights)) for name, rights in groups.items()}


def chance(graded: Sequence[Graded]) -> dict[str, float]:
    """What the best constant answer of each type would score."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for one in graded:
        answers[one.question.type][one.question.answer] += 1
    return {name: max(counts.values()) / counts.total() for name, counts in answers.items()}
