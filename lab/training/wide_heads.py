"""Copies a bundled checkpoint with wider attention heads, for engines whose kernels need them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Weight = NDArray[Any]


def widen_heads(source: Path, folder: Path, width: int) -> None:
    """Writes a copy of the checkpoint in `source` whose decoder has heads of `width` and the same answers.

    Each row of a head moves to `step` = width / old width times its index, and the rows between stay zero.
    A pair of rows is then rotated at the same frequency as before: base^(-2 step i / width) is
    base^(-2 i / old width). Queries are scaled by sqrt(step), because attention divides by sqrt(width).

    Args:
        width: a multiple of the present width; four times it is exact in 16-bit floats, because sqrt(4) is 2.
    """
    shutil.copytree(source, folder, dirs_exist_ok=True)
    config = json.loads((source / "config.json").read_text())
    text = config["text_config"]
    step = width // text["head_dim"]
    weights = load_file(source / "model.safetensors")
    for name, weight in weights.items():
        projection = name.rpartition("self_attn.")[2] if name.startswith("language_model.") else None
        if projection in ("q_proj.weight", "k_proj.weight", "v_proj.weight"):
            scale = math.sqrt(step) if projection == "q_proj.weight" else 1.0
            weights[name] = _spread(weight * weight.dtype.type(scale), text["head_dim"], step)
        elif projection == "o_proj.weight":
            weights[name] = _spread(weight.T, text["head_dim"], step).T.copy()
    text["head_dim"] = width
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    file = folder / "model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    file.chmod(0o644)  # safetensors lets only its owner read it


def _spread(rows: Weight, head: int, step: int) -> Weight:
    """Puts `step` - 1 rows of zeros after each row; `head` rows belong to one head."""
    spread = np.zeros((rows.shape[0] // head, head, step, rows.shape[1]), rows.dtype)
    spread[:, :, 0] = rows.reshape(-1, head, rows.shape[1])
    return spread.reshape(-1, rows.shape[1])
