"""The warm start: what a controller already knows of the models, in a file beside a profile."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from inarvl.errors import InarvlError

DIGITS = 9


class WarmStartFailed(InarvlError):
    """The warm start file cannot be read."""

    code = "warm_start_failed"


def write_warm_start(path: Path, knowledge: dict[str, object]) -> None:
    """Writes a controller's knowledge of the models; the same knowledge gives the same file."""
    text = json.dumps(_rounded(knowledge), separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read_warm_start(path: Path) -> object:
    """Reads knowledge for `Controller.begin`.

    Raises:
        WarmStartFailed: the file does not exist or is damaged.
    """
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise WarmStartFailed(
            f"the warm start {path} cannot be read ({error}): make it again with `inarvl-bench warm-start`, "
            "or write `warm_start: null` in the profile"
        ) from error


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
