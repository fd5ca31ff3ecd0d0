"""Counts the operations of an answer.

The time of an answer does not show its cost: for models as small as the bundled ones, most time is spent in
Python.
"""

from __future__ import annotations

from pathlib import Path

from torch.utils.flop_counter import FlopCounterMode

from lab.scenes.render import render
from lab.training.dataset import HELD_OUT, compressed, scene_at
from vlm.checkpoint import Checkpoint
from vlm.loading import load
from vlm.schema import ChatRequest, Message

QUESTION = "What colour is the thing just left of the red circle?"


def count_flops(folder: Path, resolution: int) -> int:
    """Returns the floating-point operations of one answer: tower, prompt and answer tokens."""
    model = load(Checkpoint.at(str(folder), "none"), "cpu", 8, lambda _share: None)
    image = compressed(render(scene_at(HELD_OUT, 0)), resolution)
    request = ChatRequest(None, (Message("user", (image, QUESTION)),))
    with FlopCounterMode(display=False) as counter:
        model.generate(request, max_tokens=8, check=lambda: None)
    return int(counter.get_total_flops())
