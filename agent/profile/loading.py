"""Finds and loads profile files."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from agent.config.yaml_file import ConfigError, check, read
from agent.profile.profile import Profile

SITE_FOLDER = Path("/etc/inarvl/profiles")
SUFFIXES = (".yaml", ".yml")
WHOLE = ("match",)  # the conditions of another board do not hold for this one


def bundled() -> tuple[str, ...]:
    """Returns the names of the profiles that are part of the package."""
    folder = resources.files("profiles")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def site_profiles(folder: Path = SITE_FOLDER) -> tuple[Path, ...]:
    """Returns the files of the site's own profiles."""
    return tuple(sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES))


def load_profile(name_or_path: str) -> Profile:
    """Loads a bundled profile by its name, or a file, with the profiles that it extends.

    Raises:
        ConfigError: the profile does not exist or is invalid.
    """
    path = _path(name_or_path, Path(), "")
    return check(_with_base(path, ()), Profile, str(path))


def _path(name_or_path: str, folder: Path, place: str) -> Path:
    if name_or_path in bundled():
        return Path(str(resources.files("profiles") / f"{name_or_path}.yaml"))
    if Path(name_or_path).suffix not in SUFFIXES:
        raise ConfigError(
            f"{place}there is no profile {name_or_path!r}: "
            f"write one of {', '.join(bundled())}, or a file that ends in .yaml"
        )
    return folder / name_or_path


def _with_base(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Reads a profile file and merges it into the one that it extends; `seen` are the files before it."""
    path = path.resolve()
    if path in seen:
        chain = " -> ".join(map(str, (*seen, path)))
        raise ConfigError(f"{path}: extends: the profiles extend each other in a circle, {chain}")
    content = deepcopy(_bundled_content(path)) if path.parent == _bundled_folder() else read(path)
    if isinstance(content.get("warm_start"), str):
        content["warm_start"] = str(path.parent / content["warm_start"])
    parent = content.get("extends")
    if not isinstance(parent, str):
        return content
    base = _path(parent, path.parent, f"{path}: extends: ")
    return _merge(_with_base(base, (*seen, path)), content)


@cache
def _bundled_folder() -> Path:
    return Path(str(resources.files("profiles"))).resolve()


@cache
def _bundled_content(path: Path) -> dict[str, Any]:
    """The content of a file of the package, which many profiles extend; it does not change."""
    return read(path)


def _merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Merges two mappings; nested mappings are merged, all other values and `match` are replaced."""
    merged = dict(base)
    for key, value in override.items():
        old = None if key in WHOLE else merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
