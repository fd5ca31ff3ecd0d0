"""The checkpoints that come with the package, in the folder `bundled`. They know drawn scenes only.

Their digests are in bundled/sha256.json. `python -m vlm.bundled` writes it again after a change.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from vlm.errors import ModelLoadError

FOLDER = Path(__file__).with_suffix("")
DIGESTS = "sha256.json"


@cache
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


def sha256(name: str) -> str:
    """Returns the digest that the files of a bundled checkpoint must have: see `vlm.model_files`.

    Raises:
        ModelLoadError: there is no bundled checkpoint of that name, or it has no digest.
    """
    path(name)
    known = json.loads((FOLDER / DIGESTS).read_text())
    if name not in known:
        raise ModelLoadError(f"the bundled model {name!r} has no digest in {DIGESTS}; install inarvl again")
    return str(known[name])


if __name__ == "__main__":
    from vlm.model_files import digest

    digests = {name: digest(FOLDER / name) for name in names()}
    (FOLDER / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n")
