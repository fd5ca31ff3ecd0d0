"""A checkpoint to serve: its place, its notes, and the size of its weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vlm import bundled
from vlm.errors import ModelLoadError

Quantization = Literal["nf4", "int8", "none"]
Device = Literal["auto", "cpu", "cuda"]
SHA256, REVISION = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to serve.

    Attributes:
        source: a folder or a hub id.
        name: the name to serve it under.
        quantization: the format of its weights in memory; ignored if it was saved quantized.
        sha256: the digest that its files must have, see `vlm.model_files`; None for any.
        revision: the hash of its commit at the hub; None for the newest.
    """

    source: str
    name: str
    quantization: Quantization
    sha256: str | None = None
    revision: str | None = None

    @classmethod
    def at(
        cls,
        source: str,
        quantization: Quantization,
        name: str | None = None,
        *,
        sha256: str | None = None,
        revision: str | None = None,
    ) -> Checkpoint:
        """Resolves `source`: a folder, a hub id, or bundled:NAME. By default it is served under its own name.

        A bundled checkpoint is pinned to the digest that comes with it.

        Raises:
            ModelLoadError: there is no such folder or bundled checkpoint, or a pin has another form.
        """
        for option, value, form in (("sha256", sha256, SHA256), ("revision", revision, REVISION)):
            if value is not None and not form.fullmatch(value):
                raise ModelLoadError(f"--{option} must be {form.pattern}, as `inarvl-vlm pull` prints it")
        if source.startswith("bundled:"):
            bundle = source.removeprefix("bundled:")
            pin = sha256 or bundled.sha256(bundle)
            return cls(str(bundled.path(bundle)), name or bundle, quantization, pin)
        folder = Path(source).expanduser()
        if folder.is_dir():
            if revision is not None:
                raise ModelLoadError(f"--revision is for a hub id; pin the folder {source} with --sha256")
            if not (folder / "config.json").is_file():
                raise ModelLoadError(f"{source} holds no config.json; give the folder of a checkpoint")
            return cls(str(folder), name or folder.resolve().name, quantization, sha256)
        if source.startswith((".", "/", "~")) or source.count("/") != 1:
            raise ModelLoadError(
                f"folder {source} does not exist; give a checkpoint folder, a hub id such as owner/name, "
                f"or one of {', '.join(f'bundled:{known}' for known in bundled.names()) or 'bundled:NAME'}"
            )
        return cls(source, name or source, quantization, sha256, revision)

    @property
    def folder(self) -> Path | None:
        """Its folder, None for a hub id."""
        return Path(self.source) if Path(self.source).is_dir() else None

    def notes(self) -> dict[str, Any]:
        """Returns its inarvl.json; empty if it has none.

        It may have resolutions, max_tokens, max_images, parameters and instructions.

        Raises:
            ModelLoadError: the file is no JSON object.
        """
        path = self.folder / "inarvl.json" if self.folder else None
        if path is None or not path.is_file():
            return {}
        try:
            notes = json.loads(path.read_text())
        except ValueError as error:
            raise ModelLoadError(f"{path} is not JSON ({error}); correct or remove it") from error
        if not isinstance(notes, dict):
            raise ModelLoadError(f"{path} must contain a JSON object; correct or remove it")
        return notes

    def weight_bytes(self) -> int | None:
        """Returns the size of its weight files, None if they are not downloaded yet."""
        files = [*self.folder.glob("*.safetensors")] if self.folder else []
        return sum(file.stat().st_size for file in files) or None
