"""The checkpoints that come with the package, in the folder of the same name."""

from __future__ import annotations

from pathlib import Path

from vlm.errors import ModelLoadError

FOLDER = Path(__file__).with_suffix("")


def names() -> tuple[str, ...]:
    """Names of the bundled checkpoints, sorted."""
    return tuple(sorted(config.parent.name for config in FOLDER.glob("*/config.json")))


def path(name: str) -> Path:
    """The folder of a bundled checkpoint. Raises ModelLoadError when there is none of that name."""
    if name not in names():
        raise ModelLoadError(f"no bundled model {name!r}; there is {', '.join(names()) or 'none at all'}")
    return FOLDER / name
