"""The two GGUF files of a vision-language model: the decoder, and the vision tower (`mmproj`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from vlm.errors import ModelLoadError, OutOfMemory
from vlm.llamacpp.gguf_header import GgufHeader

TOWER = "clip"


@dataclass(frozen=True)
class ModelFiles:
    """Files that llama.cpp's server can begin to load."""

    decoder: GgufHeader
    tower: GgufHeader

    @classmethod
    def read(cls, model: str, mmproj: str) -> ModelFiles:
        """Reads the headers of the files.

        Raises:
            ModelLoadError: a file is not named, is missing or damaged, or is of another kind.
        """
        for name, path in (("MODEL", model), ("MMPROJ", mmproj)):
            if not path:
                raise ModelLoadError(
                    f"{name} is not set; write {name}=/path/of/the/file.gguf in the settings"
                )
        decoder, tower = GgufHeader.read(Path(model)), GgufHeader.read(Path(mmproj))
        if decoder.architecture == TOWER:
            raise ModelLoadError(
                f"{model} is a vision tower; write it as MMPROJ, and the language model as MODEL"
            )
        if tower.architecture != TOWER:
            raise ModelLoadError(
                f"{mmproj} is no vision tower; write as MMPROJ this model's file with mmproj in its name"
            )
        return cls(decoder, tower)

    def check_memory(self, context: int, reserve_mb: int) -> None:
        """Checks that the files, `context` tokens and `reserve_mb` for all else fit into the free memory.

        Raises:
            OutOfMemory: they do not.
        """
        needed = self.decoder.bytes + self.tower.bytes + self.decoder.cache_bytes(context)
        needed_mb, free_mb = needed / 2**20 + reserve_mb, psutil.virtual_memory().available / 2**20
        if needed_mb > free_mb:
            raise OutOfMemory(
                f"{self.decoder.path} does not fit: with {context} tokens of context and a reserve of "
                f"{reserve_mb} MiB it needs {needed_mb:.0f} MiB, and {free_mb:.0f} MiB are free; stop other "
                "programs, use a smaller file, or lower CTX_SIZE"
            )
