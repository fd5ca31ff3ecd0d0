"""Reads YAML files strictly: unknown keys are errors, and every error names its key or line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from inarvl.errors import InarvlError

SECRET = re.compile(
    r"passw|passphrase|secret|token|api_?key|credential|authori[sz]ation|bearer|^key$", re.IGNORECASE
)
LIKE_VALUE = re.compile(r"(['\"])(?!<)(?:(?!\1).){2,}\1")  # of the file, in a message of the YAML parser


class ConfigError(InarvlError):
    """An invalid configuration file; the message has one line per error."""

    code = "bad_config"


class Section(BaseModel):
    """A mapping in a YAML file, with exactly the keys of its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load(path: Path, kind: type[S]) -> S:
    """Reads the file at `path` as a `kind`.

    Raises:
        ConfigError: the file cannot be read or is invalid.
    """
    return check(read(path), kind, str(path))


def read(path: Path) -> dict[str, Any]:
    """Reads the mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        content = yaml.load(path.read_text(), _UniqueKeyLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise ConfigError(f"{path}: invalid YAML: nested too deeply") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: invalid YAML: it is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: invalid YAML: {_yaml_problem(error)}") from None
    except (ValueError, LookupError, TypeError, AttributeError):  # such as a date that does not exist
        raise ConfigError(f"{path}: invalid YAML: a value does not fit its type; put it in quotes") from None
    if not isinstance(content, dict | None):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    return content or {}


def check(content: Mapping[str, Any], kind: type[S], name: str) -> S:
    """Checks `content` and returns it as a `kind`.

    Args:
        name: file name for the error messages.

    Raises:
        ConfigError: the content is invalid.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            key = ".".join(str(part) for part in detail["loc"])
            message = detail["msg"].removeprefix("Value error, ")
            if detail["type"] == "extra_forbidden":
                message = _unknown(kind, detail["loc"])
            lines.append(": ".join(part for part in (name, key, message) if part))
        raise ConfigError("\n".join(lines)) from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Rejects duplicate keys, of which PyYAML would silently use the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key {key.value}; remove one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    """Returns place and kind of the mistake without the line itself, which may have a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return "it has a character that YAML forbids"
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return place + LIKE_VALUE.sub("a value", error.problem or error.context or "it cannot be read")


def _unknown(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    section: type[BaseModel] | None = kind
    for part in location[:-1]:
        if section is not None and isinstance(part, str) and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation)
    names = list(section.model_fields) if section else []
    if SECRET.search(str(location[-1])):
        files = [name for name in names if name.endswith("_file")] or ["password_file or api_key_file"]
        return (
            "unknown key; a secret is never written here: write it into a file that only the agent can read, "
            f"and name that file with {' or '.join(files)}"
        )
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key; remove it"


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Returns the Section in a field's type, also within an optional or a list."""
    if arguments := get_args(annotation):
        return next(filter(None, map(_section_in, arguments)), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
