"""What an answer takes, counted: times of models this small are those of Python, not of the arithmetic."""

from __future__ import annotations

from pathlib import Path

from torch.utils.flop_counter import FlopCounterMode

from lab.scenes.render import render
from lab.training.dataset import HELD_OUT, scene, sent
from vlm.checkpoint import Checkpoint
from vlm.loading import load
from vlm.schema import ChatRequest, Message

QUESTION = "What colour is the thing just left of the red circle?"


def flops(folder: Path, resolution: int) -> int:
    """Floating-point operations of one answer at a resolution, as trained: tower, prompt and tokens."""
    model = load(Checkpoint.at(str(folder), "none"), "cpu", 8, lambda _share: None)
    image = sent(render(scene(HELD_OUT, 0)), resolution)
    request = ChatRequest(None, (Message("user", (image, QUESTION)),))
    with FlopCounterMode(display=False) as counter:
        model.generate(request, max_tokens=8, check=lambda: None)
    return int(counter.get_total_flops())
