"""Writes a trained model as a checkpoint folder that any transformers installation can load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lab.training.model import build_processor
from lab.training.trainer import Trainer

TOWER, TOWER_MODEL = "vision_tower.", "vision_tower.vision_model."


def export(trainer: Trainer, folder: Path) -> None:
    """Writes weights in half precision, the processor, the hints for serving, and the learning curve."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer.model.to(torch.float16).save_pretrained(folder)
    name_tower_weights(folder / "model.safetensors")
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


def name_tower_weights(file: Path) -> None:
    """Gives the tower's weights the names that vLLM and all versions of transformers 5 load."""
    weights = load_file(file)
    renamed = {
        name.replace(TOWER, TOWER_MODEL, 1)
        if name.startswith(TOWER) and not name.startswith(TOWER_MODEL)
        else name: weight
        for name, weight in weights.items()
    }
    save_file(renamed, file, metadata={"format": "pt"})
