"""Images of queries."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from agent.answering.question import QuestionReader
from agent.config.settings import Settings
from agent.messages.query import BadQuery, Query
from lab.rig.fuzz.fuzz_door import FuzzDoor, Use
from lab.rig.fuzz.mutation import Mutator

KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("JPEG", "RGB", {"quality": 80}),
    (
        "JPEG",
        "RGB",
        {"progressive": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0"},
    ),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("PNG", "1", {}),
    ("WEBP", "RGB", {}),
)


@cache
def _seed(number: int) -> bytes:
    kind, mode, options = KINDS[number]
    noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    picture, file = Image.fromarray(noise), io.BytesIO()
    if mode == "I;16":
        picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 256)
    else:
        picture = picture.convert(mode)
    picture.save(file, kind, **options)
    return file.getvalue()


def make(mutator: Mutator, rng: Random) -> bytes:
    """Returns a small image with changed bytes."""
    return mutator.change_bytes(_seed(rng.randrange(len(KINDS))))


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Reads images as the agent does: decoding, signals, and two resolutions."""
    reader = QuestionReader(lambda: (16, 64), Settings.model_validate({"device": "d"}))

    async def use(data: bytes) -> None:
        try:
            question = reader.read(Query("q", "what?", data))
        except BadQuery:
            return
        json.dumps(question.signals.vector().tolist(), allow_nan=False)

    yield use


DOOR = FuzzDoor("images", make, opened)
