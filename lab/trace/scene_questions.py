"""Question sets about drawn scenes, whose truth is known."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lab.scenes.question import TYPES, Question, ask
from lab.scenes.render import render
from lab.scenes.scene import Scene, draw

JPEG_QUALITY = 92
COLUMNS = ("image", "question", "answer", "type", "group")


def drawn(count: int, per_image: int, split: int) -> Iterator[tuple[Scene, list[Question]]]:
    """Scenes with `count` questions in all, as many of each type, at most `per_image` about one scene.

    A split is a world of its own: its scene i is the same on every machine. Models are trained on split 1.
    """
    missing = Counter({name: count // len(TYPES) + (i < count % len(TYPES)) for i, name in enumerate(TYPES)})
    rng = np.random.default_rng([split, 0])
    index = 0
    while missing := +missing:
        index += 1
        scene = draw(np.random.default_rng([split, index]))
        questions: list[Question] = []
        for name, _ in missing.most_common():  # types that few scenes have are wanted most, and asked first
            if len(questions) < per_image:
                questions += ask(scene, rng, 1, [name])
        missing.subtract(question.type for question in questions)
        if questions:
            yield scene, questions


def write_questions(folder: Path, count: int, per_image: int, split: int) -> Iterator[int]:
    """Fill `folder` with images and then their questions.csv, giving the number of questions as they come."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / ".questions.csv"
    with beside.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        written = 0
        for number, (scene, questions) in enumerate(drawn(count, per_image, split)):
            image = f"{number:05}.jpg"
            render(scene).save(folder / image, "JPEG", quality=JPEG_QUALITY)
            for question in questions:
                rows.writerow((image, question.text, question.answer, question.type, f"{split}-{number:05}"))
            written += len(questions)
            yield written
    beside.replace(folder / "questions.csv")
