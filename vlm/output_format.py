"""Fields of a request that constrain the form of the answer: honoured as choices, or refused."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

from vlm.errors import InvalidRequest

MAX_CHOICES = 64
MAX_CHOICE_LENGTH = 200
NO_CONSTRAINT = {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
UNSUPPORTED_GUIDES = ("guided_json", "guided_regex", "guided_grammar", "guided_decoding_backend")
REMEDY = "name the possible answers in structured_outputs.choice, or remove it"


def choices_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the possible answers that a request names; empty if it names none.

    They are in `structured_outputs: {"choice": [...]}`, `guided_choice`, or a `response_format` with a JSON
    schema that has a small number of values; these are then written as JSON.

    Raises:
        InvalidRequest: the request has another constraint, several constraints, or invalid choices.
    """
    for name in UNSUPPORTED_GUIDES:
        if fields.get(name) is not None:
            raise _invalid(f"{name} is not supported; {REMEDY}")
    given = {
        "structured_outputs.choice": _structured_outputs(fields.get("structured_outputs")),
        "guided_choice": fields.get("guided_choice"),
        "response_format": _response_format(fields.get("response_format")),
    }
    given = {name: choices for name, choices in given.items() if choices is not None}
    if len(given) > 1:
        raise _invalid(f"{' and '.join(given)} cannot be combined; send one of them")
    return next((_checked(name, choices) for name, choices in given.items()), ())


def _structured_outputs(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _invalid('structured_outputs must be an object such as {"choice": ["yes", "no"]}')
    for name, constraint in value.items():
        if name != "choice" and constraint not in (None, False):
            raise _invalid(f"structured_outputs.{str(name)[:40]} is not supported; {REMEDY}")
    return value.get("choice")


def _response_format(value: object) -> object:
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return None
    if kind != "json_schema" or not isinstance(value, Mapping):
        raise _invalid(f"response_format {str(kind)[:40]} is not supported; {REMEDY}")
    schema = value.get("json_schema")
    values = _values(schema.get("schema") if isinstance(schema, Mapping) else None, depth=0)
    if not values:
        raise _invalid(
            f"this response_format is not supported: only JSON schemas with at most {MAX_CHOICES} values, "
            f"made of enum, const, boolean, null and objects of these, are; {REMEDY}"
        )
    return list(dict.fromkeys(json.dumps(entry, ensure_ascii=False) for entry in values))


def _values(schema: object, depth: int) -> list[Any]:
    """All values that a JSON schema accepts, as far as it is certain that there are few; else none."""
    if not isinstance(schema, Mapping) or depth > 3:
        return []
    schema = {name: value for name, value in schema.items() if name not in NO_CONSTRAINT}
    kind = schema.get("type")
    constraints = schema.keys() - {"type"}
    if constraints in ({"enum"}, {"const"}):
        values = schema.get("enum", [schema.get("const")])
        valid = isinstance(values, list) and len(values) <= MAX_CHOICES and all(map(_is_scalar, values))
        return list(values) if valid else []
    if kind in ("boolean", "null") and not constraints:
        return [True, False] if kind == "boolean" else [None]
    if kind == "object" and constraints <= {"properties", "required", "additionalProperties"}:
        return _objects(schema, depth)
    return []


def _objects(schema: Mapping[str, Any], depth: int) -> list[Any]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not properties or not isinstance(required, list):
        return []
    if any(name not in required for name in properties) or len(required) != len(properties):
        return []
    values = [_values(value, depth + 1) for value in properties.values()]
    total = 1
    for possible in values:
        total *= len(possible)
        if not 0 < total <= MAX_CHOICES:
            return []
    return [dict(zip(properties, combination, strict=True)) for combination in itertools.product(*values)]


def _is_scalar(value: object) -> bool:
    return (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )


def _checked(name: str, choices: object) -> tuple[str, ...]:
    if not isinstance(choices, list) or not 0 < len(choices) <= MAX_CHOICES:
        raise _invalid(f"{name} must be a list of 1 to {MAX_CHOICES} strings")
    for choice in choices:
        if not isinstance(choice, str) or not choice.strip() or len(choice) > MAX_CHOICE_LENGTH:
            raise _invalid(f"{name}: each choice must be a string of 1 to {MAX_CHOICE_LENGTH} characters")
        if choice != choice.strip():
            raise _invalid(f"{name}: {choice!r} begins or ends with a blank; remove it")
    if len(set(choices)) < len(choices):
        raise _invalid(f"{name}: the choices must differ")
    return tuple(choices)


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, "invalid_request")
