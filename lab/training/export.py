"""A finished run as a checkpoint folder that any transformers installation can load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from lab.training.model import build_processor
from lab.training.trainer import Run


def export(run: Run, folder: Path) -> None:
    """Write weights (half precision), processor and serving hints, and the run's curve beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    run.model.to(torch.float16).save_pretrained(folder)
    build_processor(run.recipe, run.tokenizer).save_pretrained(folder)
    hints = {
        "name": run.recipe.name,
        "resolutions": list(run.recipe.resolutions),
        "max_tokens": run.recipe.max_tokens,
    }
    (folder / "model.safetensors").chmod(0o644)  # safetensors leaves it to its owner alone
    (folder / "inarvl.json").write_text(json.dumps(hints, indent=2) + "\n")
    shutil.copy(run.curve, folder / "curve.csv")
