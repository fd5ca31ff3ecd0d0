"""Requests to the model server."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from PIL import Image

from lab.rig.fuzz.fuzz_door import FuzzDoor, Use
from vlm.errors import InvalidRequest
from vlm.schema import ChatRequest


def _image() -> str:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


CONTENT = [
    {"type": "image_url", "image_url": {"url": _image(), "detail": "low"}},
    {"type": "text", "text": "how many cups are there?"},
]
SEEDS = (
    {"model": "m", "messages": [{"role": "user", "content": CONTENT}], "max_tokens": 8, "temperature": 0},
    {
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": CONTENT}],
        "max_completion_tokens": 8,
        "logprobs": True,
        "top_logprobs": 2,
        "stop": ["."],
        "seed": 7,
        "top_p": 0.9,
        "n": 1,
        "stream": False,
        "structured_outputs": {"choice": ["yes", "no"]},
    },
    {
        "messages": [{"role": "user", "content": CONTENT}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "schema": {
                    "type": "object",
                    "properties": {"a": {"enum": ["x", 1]}, "b": {"type": "boolean"}},
                    "required": ["a", "b"],
                }
            },
        },
    },
)


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Reads requests as the model server does, up to the model."""

    async def use(data: bytes) -> None:
        with suppress(InvalidRequest):
            str(ChatRequest.from_bytes(data).choices).encode()

    yield use


DOOR = FuzzDoor("chat-requests", lambda mutator, rng: mutator.change_json(rng.choice(SEEDS)), opened)
