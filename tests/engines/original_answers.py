"""Questions about drawn scenes, and what the bundled models answer through transformers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

import torch
from PIL import Image

from lab.scenes.render import render
from lab.training.evaluate import held_out
from vlm import VlmClient
from vlm.checkpoint import Checkpoint
from vlm.loading import load
from vlm.schema import ChatRequest, Message

PER_TYPE = 10
MAX_TOKENS = 8


@cache
def questions(side: int) -> Sequence[tuple[bytes, str]]:
    """PER_TYPE held-out questions of each of the 11 types, with their images as JPEG of `side` pixels."""
    asked = []
    for scene, question in held_out(PER_TYPE):
        file = io.BytesIO()
        render(scene).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        asked.append((file.getvalue(), question.text))
    return asked


@cache
def original_answers(model: str, side: int) -> Sequence[str]:
    """The answers of a bundled model in 32-bit floats."""
    torch.set_num_threads(1)  # so small a model is slower on several
    original = load(Checkpoint.at(f"bundled:{model}", "none"), "cpu", MAX_TOKENS, lambda _share: None)
    answers = []
    for image, question in questions(side):
        request = ChatRequest(None, (Message("user", (Image.open(io.BytesIO(image)), question)),))
        answers.append(original.generate(request, max_tokens=MAX_TOKENS, check=lambda: None).text.strip())
    return answers


async def share_equal(url: str, model: str, side: int) -> float:
    """The share of the questions on which the engine at `url` gives the model's original answer."""
    client = VlmClient(url)
    equal = 0
    for (image, question), expected in zip(questions(side), original_answers(model, side), strict=True):
        completion = await client.complete(question, image, model=model, max_tokens=MAX_TOKENS, timeout_s=60)
        equal += completion.text == expected
    await client.aclose()
    return equal / len(questions(side))
