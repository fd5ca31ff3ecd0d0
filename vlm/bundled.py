"""The checkpoints that come with the package, in the folder `bundled`. They know drawn scenes only."""

from __future__ import annotations

from pathlib import Path

from vlm.errors import ModelLoadError

FOLDER = Path(__file__).with_suffix("")


def names() -> tuple[str, ...]:
    """Returns the names of the bundled checkpoints, sorted."""
    return tuple(sorted(config.parent.name for config in FOLDER.glob("*/config.json")))


def path(name: str) -> Path:
    """Returns the folder of a bundled checkpoint.

    Raises:
        ModelLoadError: there is no bundled checkpoint of that name.
    """
    if name not in names():
        raise ModelLoadError(f"no bundled model {name!r}; available: {', '.join(names()) or 'none'}")
    return FOLDER / name
