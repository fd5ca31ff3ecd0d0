"""Finding, loading and choosing profiles."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import psutil

from agent.config.yaml_file import ConfigError, check, read
from agent.profile.profile import Profile
from agent.profile.sections import Match

log = logging.getLogger(__name__)

GENERIC = "generic-x86"
SITE_FOLDER = Path("/etc/inarvl/profiles")
SUFFIXES = (".yaml", ".yml")


def bundled() -> tuple[str, ...]:
    """Names of the profiles that come with the package."""
    folder = resources.files("profiles")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_profile(name_or_path: str) -> Profile:
    """A bundled profile by its name, or a file; what it extends is merged below it.

    Raises:
        ConfigError: there is none, or it says something that cannot be.
    """
    path = _path(name_or_path, Path(), "")
    return check(_merged(path, ()), Profile, str(path))


@dataclass(frozen=True)
class BoardIdentity:
    """What tells one board from another.

    Attributes:
        model: what its device tree calls it; empty where there is none.
        cores: CPU cores.
        memory_gb: as the kernel sees it, in 10^9 bytes.
    """

    model: str
    cores: int
    memory_gb: float

    @classmethod
    def here(cls, root: Path = Path("/")) -> BoardIdentity:
        """The board this runs on; its device tree is that under `root`."""
        try:
            model = (root / "proc" / "device-tree" / "model").read_text(errors="replace").rstrip("\0\n")
        except OSError:
            model = ""
        return cls(model, os.cpu_count() or 1, psutil.virtual_memory().total / 1e9)

    def fits(self, match: Match) -> bool:
        """Whether all that `match` says holds; one that says nothing fits no board."""
        named = match.model is None or match.model in self.model
        enough = self.cores >= match.cores and self.memory_gb >= match.memory_gb
        return match != Match() and named and enough


def site_profiles(folder: Path = SITE_FOLDER) -> tuple[Path, ...]:
    """The profiles that this site has put in `folder`."""
    return tuple(sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES))


def choose_profile(board: BoardIdentity | None = None, folder: Path = SITE_FOLDER) -> Profile:
    """The profile that fits the board best; a site's own goes before a bundled one.

    Of several, the one with the longest model name is taken, then the most memory, then the most cores.

    Raises:
        ConfigError: one of the site's own is faulty.
    """
    board = board or BoardIdentity.here()
    for names in ([str(path) for path in site_profiles(folder)], bundled()):
        fitting = [profile for profile in map(load_profile, names) if board.fits(profile.match)]
        if fitting:
            return max(fitting, key=lambda p: (len(p.match.model or ""), p.match.memory_gb, p.match.cores))
    log.warning(
        "no profile fits this board (%s): using %s, whose power is a guess: `inarvl profile new` measures",
        board.model or "it has no device tree",
        GENERIC,
    )
    return load_profile(GENERIC)


def _path(name_or_path: str, folder: Path, place: str) -> Path:
    if name_or_path in bundled():
        return Path(str(resources.files("profiles") / f"{name_or_path}.yaml"))
    if Path(name_or_path).suffix not in SUFFIXES:
        raise ConfigError(
            f"{place}there is no profile {name_or_path!r}: "
            f"name one of {', '.join(bundled())}, or a file that ends in .yaml"
        )
    return folder / name_or_path


def _merged(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        raise ConfigError(f"{path}: extends: goes in a circle, {' -> '.join(map(str, (*seen, path)))}")
    content = read(path)
    if isinstance(content.get("warm_start"), str):
        content["warm_start"] = str(path.parent / content["warm_start"])
    parent = content.get("extends")
    if not isinstance(parent, str):
        return content
    base = _path(parent, path.parent, f"{path}: extends: ")
    return _laid_over(_merged(base, (*seen, path)), content)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        held = merged.get(key)
        merged[key] = _laid_over(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged
