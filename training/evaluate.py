"""What a checkpoint answers on scenes it was not trained on, through the code path any checkpoint takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from scenes.question import TYPES, Question, ask
from scenes.render import render
from scenes.scene import Scene
from training.dataset import HELD_OUT, scene

BATCH = 32


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


def grade(folder: Path, per_type: int, quantization: str | None = None) -> list[Graded]:
    """Answer the held-out split with the checkpoint in `folder`, as it is or as `nf4`."""
    config = (
        BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
        if quantization == "nf4"
        else None
    )
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, quantization_config=config
    ).eval()
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    graded = []
    batch: list[tuple[Scene, Question]] = []
    for pair in held_out(per_type):
        batch.append(pair)
        if len(batch) == BATCH:
            graded += _grade(model, processor, batch)
            batch = []
    return graded + (_grade(model, processor, batch) if batch else [])


def _grade(
    model: torch.nn.Module, processor: object, batch: Sequence[tuple[Scene, Question]]
) -> list[Graded]:
    images: list[Image.Image] = [render(drawn) for drawn, _ in batch]
    prompts = [
        processor.apply_chat_template(  # type: ignore[attr-defined]
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.text}]}],
            add_generation_prompt=True,
        )
        for _, question in batch
    ]
    inputs = processor(text=prompts, images=images, return_tensors="pt", padding=True)  # type: ignore[operator]
    with torch.inference_mode():
        tokens = model.generate(**inputs, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    answers = processor.batch_decode(tokens, skip_special_tokens=True)  # type: ignore[attr-defined]
    return [
        Graded(question, drawn.fault, answer.strip())
        for (drawn, question), answer in zip(batch, answers, strict=True)
    ]


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
