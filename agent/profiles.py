"""Finding, loading and choosing profiles."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import psutil

from agent.profile import Profile
from agent.yaml_file import ConfigError, check, read

log = logging.getLogger(__name__)

GENERIC = "generic-x86"


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


def choose_profile(
    device_tree: Path = Path("/proc/device-tree/model"), memory_gb: float | None = None
) -> Profile:
    """The bundled profile of the board this runs on, by its device-tree model and its memory.

    `memory_gb` (10^9 bytes) is what the kernel sees when left out.
    """
    try:
        model = device_tree.read_text(errors="replace").rstrip("\0\n")
    except OSError:
        model = ""
    memory_gb = psutil.virtual_memory().total / 1e9 if memory_gb is None else memory_gb
    fitting = [
        profile
        for profile in map(load_profile, bundled())
        if profile.match.model and profile.match.model in model and memory_gb >= profile.match.memory_gb
    ]
    if fitting:
        return max(fitting, key=lambda p: (len(p.match.model or ""), p.match.memory_gb))
    log.warning("no profile fits this board (%s): using %s, whose power is a guess", model or "?", GENERIC)
    return load_profile(GENERIC)


def _path(name_or_path: str, folder: Path, place: str) -> Path:
    if name_or_path in bundled():
        return Path(str(resources.files("profiles") / f"{name_or_path}.yaml"))
    if Path(name_or_path).suffix not in (".yaml", ".yml"):
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
