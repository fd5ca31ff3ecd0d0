"""Writes a checkpoint as the two files that llama.cpp serves it from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from vlm.errors import ModelLoadError
from vlm.gguf.decoder import write_decoder
from vlm.gguf.llava_checkpoint import LlavaCheckpoint
from vlm.gguf.precision import Precision
from vlm.gguf.vision_tower import write_vision_tower


def export(source: Path, name: str, folder: Path, precision: Precision) -> tuple[Path, Path]:
    """Writes the checkpoint in `source` into `folder`, which is created if missing.

    Returns:
        The files of the decoder and of the vision tower (`--model` and `--mmproj` of llama.cpp's server).

    Raises:
        ModelLoadError: the checkpoint is damaged or of another kind, or a library is missing.
    """
    for module in ("gguf", "safetensors"):
        if importlib.util.find_spec(module) is None:
            raise ModelLoadError(
                f"writing GGUF needs {module}, which is not installed; pip install 'inarvl[gguf]'"
            )
    checkpoint = LlavaCheckpoint.read(source)
    folder.mkdir(parents=True, exist_ok=True)
    decoder, tower = folder / f"{name}-{precision.value}.gguf", folder / f"mmproj-{name}-f16.gguf"
    write_decoder(checkpoint, name, decoder, precision)
    write_vision_tower(checkpoint, name, tower)
    return decoder, tower
