"""YAML files read strictly: unknown keys are errors, and every error names its place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from inarvl.errors import InarvlError


class ConfigError(InarvlError):
    """A file that cannot be run with; the message has a line for each fault."""

    code = "bad_config"


class Section(BaseModel):
    """A mapping in a YAML file, with exactly the keys of its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load(path: Path, kind: type[S]) -> S:
    """The file at `path` as a `kind`.

    Raises:
        ConfigError: it cannot be read or does not fit.
    """
    return check(read(path), kind, str(path))


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises:
        ConfigError: it cannot be read or is no mapping.
    """
    try:
        content = yaml.load(path.read_text(), _Once)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no good YAML: {error}") from None
    if not isinstance(content, dict | None):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    return content or {}


def check(content: Mapping[str, Any], kind: type[S], name: str) -> S:
    """`content` as a `kind`; errors name their place in the file called `name`.

    Raises:
        ConfigError: it does not fit.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            place = ".".join(str(part) for part in fault["loc"])
            message = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                message = _unknown(kind, fault["loc"])
            lines.append(": ".join(part for part in (name, place, message) if part))
        raise ConfigError("\n".join(lines)) from None


class _Once(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands twice; keep one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _unknown(kind: type[BaseModel], place: tuple[int | str, ...]) -> str:
    section: type[BaseModel] | None = kind
    for part in place[:-1]:
        if section is not None and isinstance(part, str) and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation)
    names = list(section.model_fields) if section else []
    near = difflib.get_close_matches(str(place[-1]), names, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key; remove it"


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, on its own or as the items of a list."""
    if inside := get_args(annotation):
        return next(filter(None, map(_section_in, inside)), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
