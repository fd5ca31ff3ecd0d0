"""What is known of models before they are asked anything, as a file beside a profile."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from inarvl.errors import InarvlError

DIGITS = 9


class KnowledgeFailed(InarvlError):
    """The file cannot be read."""

    code = "knowledge_failed"


def write_warm_start(path: Path, knowledge: dict[str, object]) -> None:
    """Write what a controller knows of the models; the same knowledge makes the same file."""
    text = json.dumps(_rounded(knowledge), separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read_warm_start(path: Path) -> object:
    """For `Controller.begin`.

    Raises:
        KnowledgeFailed: it is not there, or is damaged.
    """
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise KnowledgeFailed(
            f"{path} does not tell what is known of the models ({error}): "
            "make it anew with `inarvl-bench warm-start`, or write `warm_start: null` into the profile"
        ) from error


def _rounded(held: object) -> object:
    if isinstance(held, dict):
        return {key: _rounded(value) for key, value in held.items()}
    if isinstance(held, list):
        return [_rounded(value) for value in held]
    return float(f"{held:.{DIGITS}g}") if isinstance(held, float) else held
