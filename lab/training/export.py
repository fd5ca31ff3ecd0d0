"""Writes a trained model as a checkpoint folder that any transformers installation can load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from lab.training.model import build_processor
from lab.training.trainer import Trainer


def export(trainer: Trainer, folder: Path) -> None:
    """Writes weights in half precision, the processor, the hints for serving, and the learning curve."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer.model.to(torch.float16).save_pretrained(folder)
    build_processor(trainer.recipe, trainer.tokenizer).save_pretrained(folder)
    hints = {
        "name": trainer.recipe.name,
        "resolutions": list(trainer.recipe.resolutions),
        "max_tokens": trainer.recipe.max_tokens,
        "max_images": 1,
        "instructions": False,  # it was trained on bare questions
    }
    (folder / "model.safetensors").chmod(0o644)  # safetensors lets only its owner read it
    (folder / "inarvl.json").write_text(json.dumps(hints, indent=2) + "\n")
    shutil.copy(trainer.curve, folder / "curve.csv")
