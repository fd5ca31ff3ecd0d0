"""What the bundled models' server adds to one answer, compared with the same model in this process."""

from __future__ import annotations

import io
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import anyio
from PIL import Image

from lab.speed.figure import Figure, Goal
from lab.speed.picture import camera_picture
from lab.speed.plan import Plan
from lab.trace.model_server import ServerSpec, running_server
from vlm.checkpoint import Checkpoint
from vlm.client import VlmClient
from vlm.loading import load
from vlm.model import VisionModel
from vlm.schema import ChatRequest, Message

MODEL = "bundled:inarvl-edge-swift"
SIDE = 96
MAX_TOKENS = 8
QUESTION = "is there a red cube?"


def measure_model_server(plan: Plan) -> list[Figure]:
    """Returns the time of an answer with one image, with one thread of torch."""
    import torch  # the other figures need no torch

    torch.set_num_threads(1)
    model = load(Checkpoint.at(MODEL, "none"), "cpu", MAX_TOKENS, lambda _share: None)
    model.warm_up(lambda: None)
    return anyio.run(_compare, plan, model, camera_picture(SIDE, SIDE))


async def _compare(plan: Plan, model: VisionModel, image: bytes) -> list[Figure]:
    served_ms, called_ms = [], []
    with TemporaryDirectory(prefix="inarvl-speed-") as folder:
        async with running_server(ServerSpec("local", MODEL, "none", threads=1), Path(folder)) as client:
            for _ in range(plan.rounds):
                called_ms.append(median([_called_ms(model, image) for _ in range(plan.answers)]))
                served_ms.append(median([await _served_ms(client, image) for _ in range(plan.answers)]))
    goal = Goal("difference", 3)
    return [Figure("model server, one image", "ms", served_ms, goal, "same model in process", called_ms)]


async def _served_ms(client: VlmClient, image: bytes) -> float:
    started = time.perf_counter()
    name = MODEL.removeprefix("bundled:")
    await client.complete(QUESTION, image, model=name, max_tokens=MAX_TOKENS, timeout_s=60)
    return (time.perf_counter() - started) * 1e3


def _called_ms(model: VisionModel, image: bytes) -> float:
    started = time.perf_counter()
    with Image.open(io.BytesIO(image)) as opened:
        message = Message("user", (opened.convert("RGB"), QUESTION))
    model.generate(ChatRequest(None, (message,)), max_tokens=MAX_TOKENS, check=lambda: None)
    return (time.perf_counter() - started) * 1e3
