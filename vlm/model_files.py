"""The files of a checkpoint that are loaded: that they are data only, and their digest.

1. Loaded are the configuration, template and vocabulary files of the folder itself, and weights in
   safetensors. Pickles (.bin, .pt) and Python files are never opened.
2. Each of them lies in the folder, or in the storage of the hub's cache, to which a snapshot has links.
3. The configuration names no code: transformers could fetch kernels from a hub by the name of a repository.
4. The digest is the SHA-256 of one line for each of these files, sorted by name: the SHA-256 of the file, two
   blanks, its name. `sha256sum FILE... | sha256sum` prints the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlm.errors import ModelLoadError
from vlm.hub.checkpoint_files import needed_files

INDEX = "model.safetensors.index.json"
TEMPLATES = "additional_chat_templates"  # a folder that transformers reads too
NAMES_CODE = re.compile(r"(attn|experts)_implementation$|^use_kernels$|^custom_generate$")


def loaded_files(folder: Path) -> list[Path]:
    """Returns the files that loading the checkpoint in `folder` reads, sorted by name.

    Raises:
        ModelLoadError: a file is missing, or is a link out of the folder.
    """
    small, weights = _needed(folder)
    templates = [f"{TEMPLATES}/{path.name}" for path in (folder / TEMPLATES).glob("*.jinja")]
    files = [folder / name for name in sorted({*small, *weights, *templates})]
    for file in files:
        _check_place(file, folder)
    return files


def check_content(folder: Path) -> None:
    """Checks that the index of the weights names files of the folder only, and the configuration no code.

    Raises:
        ModelLoadError: it does not.
    """
    _, weights = _needed(folder)
    _check_index(folder, set(weights))
    _check_configuration(folder / "config.json")


def digest(folder: Path) -> str:
    """Returns the digest of the checkpoint in `folder`.

    Raises:
        ModelLoadError: see `loaded_files`; or a file cannot be read.
    """
    total = hashlib.sha256()
    for file in loaded_files(folder):
        try:
            with file.open("rb") as opened:
                one = _sha256(opened)
        except OSError as error:
            raise ModelLoadError(
                f"{file} cannot be read ({error.strerror}); make it readable for this user"
            ) from error
        total.update(f"{one}  {file.relative_to(folder).as_posix()}\n".encode())
    return total.hexdigest()


def checked_digest(folder: Path, expected: str | None, source: str) -> str:
    """Returns the digest of the checkpoint in `folder`, and checks it before any file is parsed.

    Args:
        expected: the digest that it must have; None for any.

    Raises:
        ModelLoadError: it has another one, or see `digest` and `check_content`.
    """
    found = digest(folder)
    if expected is not None and found != expected:
        raise ModelLoadError(
            f"{source} is not the model that was pinned: its files have the SHA-256 {found}, and {expected} "
            "is required; download it again, or if you trust the new files, pin their digest"
        )
    check_content(folder)
    return found


def _needed(folder: Path) -> tuple[list[str], list[str]]:
    return needed_files((path.name for path in folder.iterdir() if not path.is_dir()), str(folder))


def _sha256(opened: Any) -> str:
    one = hashlib.sha256()
    while block := opened.read(2**20):
        one.update(block)
    return one.hexdigest()


def _check_place(file: Path, folder: Path) -> None:
    real, own = file.resolve(), folder.resolve()
    is_snapshot = own.parent.name == "snapshots" and own.parent.parent.name.startswith("models--")
    places = (own, own.parent.parent / "blobs") if is_snapshot else (own,)
    if not real.is_file() or not any(real.is_relative_to(place) for place in places):
        raise ModelLoadError(
            f"{file} is a link out of the checkpoint's folder, or no file; copy the file into the folder"
        )


def _check_index(folder: Path, weights: set[str]) -> None:
    index = folder / INDEX
    if not index.is_file():
        return
    entries = _json(index)
    parts = entries.get("weight_map") if isinstance(entries, dict) else None
    if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
        raise ModelLoadError(f"{index} has no map of the weights; download the checkpoint again")
    if "model.safetensors" not in weights and not set(parts.values()) <= weights:
        raise ModelLoadError(f"{index} names files that are no weights of this folder; download it again")


def _check_configuration(config: Path) -> None:
    for key, value in _entries(_json(config)):
        if NAMES_CODE.search(key) and (value is True or "/" in str(value)):
            raise ModelLoadError(
                f"{config} names code to run: {key} {str(value)[:100]!r}; inarvl runs no code of a model, so "
                "remove it or choose another checkpoint"
            )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Returns each key with its value, at every depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from ((key, item) for key, item in one.items() if not isinstance(item, list | dict))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise ModelLoadError(f"{path} is not JSON ({str(error)[:100]}); download it again") from error
