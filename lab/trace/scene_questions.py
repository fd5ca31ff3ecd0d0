"""Question sets about drawn scenes, for which the right answers are known."""

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


def scenes_with_questions(count: int, per_image: int, split: int) -> Iterator[tuple[Scene, list[Question]]]:
    """Yields scenes with `count` questions in total, equally many of each type.

    Args:
        per_image: maximum number of questions about one scene.
        split: seed of the scenes; a split's scenes are the same on every machine. Models train on split 1.
    """
    missing = Counter({name: count // len(TYPES) + (i < count % len(TYPES)) for i, name in enumerate(TYPES)})
    rng = np.random.default_rng([split, 0])
    index = 0
    while missing := +missing:
        index += 1
        scene = draw(np.random.default_rng([split, index]))
        questions: list[Question] = []
        for name, _ in missing.most_common():  # types that few scenes allow are missing most: ask them first
            if len(questions) < per_image:
                questions += ask(scene, rng, 1, [name])
        missing.subtract(question.type for question in questions)
        if questions:
            yield scene, questions


def write_questions(folder: Path, count: int, per_image: int, split: int) -> Iterator[int]:
    """Writes images and questions.csv into `folder`; yields the number of questions after each image."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / ".questions.csv"
    with partial.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        written = 0
        for number, (scene, questions) in enumerate(scenes_with_questions(count, per_image, split)):
            image = f"{number:05}.jpg"
            render(scene).save(folder / image, "JPEG", quality=JPEG_QUALITY)
            for question in questions:
                rows.writerow((image, question.text, question.answer, question.type, f"{split}-{number:05}"))
            written += len(questions)
            yield written
    partial.replace(folder / "questions.csv")
