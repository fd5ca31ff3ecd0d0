"""Grades a checkpoint on held-out scenes, with the model server's own code."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.progress import track

from lab.scenes.question import TYPES, Question, ask
from lab.scenes.render import render
from lab.scenes.scene import Scene
from lab.training.dataset import HELD_OUT, compressed, scene_at
from vlm.checkpoint import Checkpoint, Quantization
from vlm.loading import load
from vlm.schema import ChatRequest, Message

MAX_ANSWER_TOKENS = 8


@dataclass(frozen=True)
class GradedAnswer:
    """A model's answer to a held-out question."""

    question: Question
    fault: str
    answer: str

    @property
    def correct(self) -> bool:
        """Whether the answer equals the expected one exactly."""
        return self.answer == self.question.answer


def held_out(per_type: int) -> Iterator[tuple[Scene, Question]]:
    """Yields `per_type` questions of each type, at most one of a type per scene."""
    rng = np.random.default_rng([HELD_OUT, 0])
    missing = Counter(dict.fromkeys(TYPES, per_type))
    index = 0
    while missing:
        scene = scene_at(HELD_OUT, index)
        index += 1
        for name in sorted(missing):
            for question in ask(scene, rng, 1, [name]):
                yield scene, question
                missing[name] -= 1
        missing = +missing


def grade(folder: Path, per_type: int, quantization: Quantization, resolution: int) -> list[GradedAnswer]:
    """Asks the checkpoint in `folder` the held-out questions.

    Args:
        per_type: Questions of each type.
        resolution: Side of the images in pixels.
    """
    model = load(Checkpoint.at(str(folder), quantization), "cpu", MAX_ANSWER_TOKENS, lambda _share: None)
    graded = []
    for scene, question in track(
        list(held_out(per_type)), f"Grading {folder.name}@{resolution} as {quantization}"
    ):
        image = compressed(render(scene), resolution)
        request = ChatRequest(None, (Message("user", (image, question.text)),))
        answer = model.generate(request, max_tokens=MAX_ANSWER_TOKENS, check=lambda: None)
        graded.append(GradedAnswer(question, scene.fault, answer.text.strip()))
    return graded


def accuracy(graded: Sequence[GradedAnswer], by: Literal["type", "fault"]) -> dict[str, float]:
    """Returns the share of correct answers by type of question or by camera fault."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for answer in graded:
        groups[answer.question.type if by == "type" else answer.fault].append(answer.correct)
    return {name: float(np.mean(correct)) for name, correct in groups.items()}


def chance(graded: Sequence[GradedAnswer]) -> dict[str, float]:
    """Returns the accuracy of the best constant answer by type of question."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for answer in graded:
        answers[answer.question.type][answer.question.answer] += 1
    return {name: max(counts.values()) / counts.total() for name, counts in answers.items()}
