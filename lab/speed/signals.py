"""The CPU time of an image's signals, compared with Pillow's reduced decode."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from statistics import median

from PIL import Image

from controller.image_signals import SIDE, image_signals
from lab.speed.figure import Figure, Goal
from lab.speed.picture import camera_picture
from lab.speed.plan import Plan


def measure_signals(plan: Plan) -> list[Figure]:
    """Returns the CPU time of the signals of each size of picture."""
    figures = []
    for width, height in plan.pictures:
        data = camera_picture(width, height)
        ours, decode = [], []
        for _ in range(plan.rounds):
            decode.append(_cpu_ms(lambda data=data: _reduced(data), plan.signal_repeats))  # type: ignore[misc]
            ours.append(_cpu_ms(lambda data=data: image_signals(data), plan.signal_repeats))  # type: ignore[misc]
        goal = Goal("ratio", 1.1) if width > 640 else None
        name = f"signals, {width}x{height} JPEG"
        figures.append(Figure(name, "ms", ours, goal, "Pillow's reduced decode", decode))
    return figures


def _reduced(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        scale = SIDE / max(image.size)
        image.draft("L", (round(image.width * scale), round(image.height * scale)))
        image.load()


def _cpu_ms(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        action()
        times.append(time.thread_time() - started)
    return median(times) * 1e3
