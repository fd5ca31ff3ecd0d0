"""A LLaVA checkpoint on disk, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm.errors import ModelLoadError

Tensors = Mapping[str, NDArray[Any]]
SUPPORTED = {"model_type": "llava", "text": "llama", "vision": "siglip_vision_model", "tokenizer": "BPE"}


@dataclass(frozen=True)
class LlavaCheckpoint:
    """A LLaVA checkpoint with a SigLIP tower, a Llama decoder and a byte-level BPE tokenizer.

    Attributes:
        config: its config.json.
        processor: its processor_config.json.
        tokenizer: its tokenizer.json.
        decoder: weights by name, without the prefix `language_model.`.
        tower: weights by name, without the prefixes `vision_tower.` and `vision_model.`.
        projector: weights by name, without the prefix `multi_modal_projector.`.
    """

    config: Mapping[str, Any]
    processor: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    decoder: Tensors
    tower: Tensors
    projector: Tensors

    @classmethod
    def read(cls, folder: Path) -> LlavaCheckpoint:
        """Reads the checkpoint in `folder`.

        Raises:
            ModelLoadError: a file is missing or damaged, or it is a checkpoint of another kind.
        """
        try:
            config, processor, tokenizer = (
                json.loads((folder / f"{name}.json").read_text())
                for name in ("config", "processor_config", "tokenizer")
            )
            kinds = {
                "model_type": config["model_type"],
                "text": config["text_config"]["model_type"],
                "vision": config["vision_config"]["model_type"],
                "tokenizer": tokenizer["model"]["type"],
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelLoadError(f"{folder} cannot be read as a LLaVA checkpoint: {error!r}") from error
        if kinds != SUPPORTED:
            raise ModelLoadError(
                f"{folder} has {', '.join(kinds.values())}; only {', '.join(SUPPORTED.values())} can be "
                "written, which the bundled models are; convert others with llama.cpp's convert_hf_to_gguf.py"
            )
        tensors = _tensors(folder)
        return cls(
            config,
            processor,
            tokenizer,
            decoder=_below("language_model.", tensors),
            tower=_below("vision_model.", _below("vision_tower.", tensors)),
            projector=_below("multi_modal_projector.", tensors),
        )

    @property
    def tower_layers(self) -> int:
        """Layers of the tower up to the one whose output the projector uses."""
        total, feature = (
            self.config["vision_config"]["num_hidden_layers"],
            self.config["vision_feature_layer"],
        )
        return int(feature if feature >= 0 else total + 1 + feature)


def _tensors(folder: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    tensors: dict[str, NDArray[Any]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            tensors |= {name: np.asarray(tensor) for name, tensor in load_file(file).items()}
        except (SafetensorError, TypeError) as error:
            raise ModelLoadError(f"{file} cannot be read: {error}") from error
    return tensors


def _below(prefix: str, tensors: Tensors) -> Tensors:
    """Returns the tensors that have `prefix`, without it; all if none has it."""
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return found or tensors
