"""A checkpoint: where it is, what its own files say about it, and what it will need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vlm import bundled
from vlm.errors import ModelLoadError

Quantization = Literal["nf4", "int8", "none"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to serve.

    Attributes:
        source: a folder, a hub id, or bundled:NAME.
        name: what to serve it as.
        quantization: how to hold its weights; one that was saved quantized keeps its own form.
    """

    source: str
    name: str
    quantization: Quantization

    @classmethod
    def at(cls, source: str, quantization: Quantization, name: str | None = None) -> Checkpoint:
        """Resolve `source`; raises ModelLoadError when it names a folder that is none."""
        if source.startswith("bundled:"):
            bundle = source.removeprefix("bundled:")
            return cls(str(bundled.path(bundle)), name or bundle, quantization)
        folder = Path(source).expanduser()
        if folder.is_dir():
            if not (folder / "config.json").is_file():
                raise ModelLoadError(f"{source} holds no config.json: is it the checkpoint's own folder?")
            return cls(str(folder), name or folder.resolve().name, quantization)
        if source.startswith((".", "/", "~")) or source.count("/") != 1:
            raise ModelLoadError(
                f"there is no folder {source}; give a checkpoint folder, a hub id such as owner/name, "
                f"or one of {', '.join(f'bundled:{known}' for known in bundled.names()) or 'bundled:NAME'}"
            )
        return cls(source, name or source, quantization)

    @property
    def folder(self) -> Path | None:
        """Where it lies, None for a hub id."""
        return Path(self.source) if Path(self.source).is_dir() else None

    def notes(self) -> dict[str, Any]:
        """Its inarvl.json: resolutions, max_tokens, parameters, ...; empty without one."""
        path = self.folder / "inarvl.json" if self.folder else None
        if path is None or not path.is_file():
            return {}
        try:
            notes = json.loads(path.read_text())
        except ValueError as error:
            raise ModelLoadError(f"{path} is not JSON ({error}); mend it or remove it") from error
        if not isinstance(notes, dict):
            raise ModelLoadError(f"{path} must hold a JSON object; mend it or remove it")
        return notes

    def weight_bytes(self) -> int | None:
        """Size of its weight files, None when they are not here yet."""
        files = [*self.folder.glob("*.safetensors"), *self.folder.glob("*.bin")] if self.folder else []
        return sum(file.stat().st_size for file in files) or None
