"""Checks the JSON schema (draft 2020-12) of a query, and answers against it, in bounded time.

Schemas and answers come from the network. So nothing is fetched, keywords that can take exponential time are
refused, and the check of an answer ends after MAX_STEPS steps. `jsonschema` is imported when the first schema
arrives, because its import takes 40 ms on a fast machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

MAX_SUBSCHEMAS: Final = 128
MAX_STEPS: Final = 20_000
MAX_QUOTED: Final = 120
REFUSED: Final = {
    "pattern": "use enum, or check the answer where it arrives",
    "patternProperties": "use properties",
    "unevaluatedItems": "use items",
    "unevaluatedProperties": "use additionalProperties",
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
    "$id": "only the whole schema may have it",
    "$schema": "only the whole schema may have it",
}
_REFERENCE: Final = re.compile(r"#|#/(\$defs|definitions)/([\w.-]+)", re.ASCII)
_DATA: Final = {"const", "enum", "default", "examples", "dependentRequired"}
_NAMED: Final = {"properties", "$defs", "definitions", "dependentSchemas"}
_steps_left: ContextVar[list[int]] = ContextVar("_steps_left")


class _TooManySteps(Exception):
    """The check of an answer has used its steps."""


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """Returns why `schema` cannot be used and what to change; None if it can be used.

    >>> schema_problem({"type": "object", "properties": {"cars": {"type": "integer"}}})
    >>> schema_problem({"type": "car"})
    "is invalid at $.type: 'car' is not valid under any of the given schemas"
    >>> schema_problem({"$ref": "https://example.org/car.json"})
    "refers to 'https://example.org/car.json': refer only to #/$defs/NAME, and add it to the field $defs"
    """
    from jsonschema.exceptions import SchemaError

    root = _root(schema)
    try:
        for number, subschema in enumerate(_subschemas(root)):
            if number >= MAX_SUBSCHEMAS:
                return f"has more than {MAX_SUBSCHEMAS} parts: make it smaller"
            if refused := REFUSED.keys() & subschema.keys():
                keyword = min(refused)
                return f"uses {keyword}, which is not supported: {REFUSED[keyword]}"
            if "$ref" in subschema and not _is_in(root, subschema["$ref"]):
                reference = _cut(repr(subschema["$ref"]))
                return f"refers to {reference}: refer only to #/$defs/NAME, and add it to the field $defs"
        _validator().check_schema(root)
    except SchemaError as error:
        return f"is invalid at {_cut(error.json_path)}: {_cut(error.message)}"
    except RecursionError:
        return "is nested too deeply: make it simpler"
    return None


def value_problem(schema: Mapping[str, Any], value: Any) -> str | None:
    """Returns which rule of a valid schema `value` breaks; None if it breaks none. Does not quote the value.

    >>> schema = {"type": "object", "properties": {"cars": {"type": "integer"}}, "required": ["cars"]}
    >>> value_problem(schema, {"cars": 2})
    >>> print(value_problem(schema, {"cars": "two"}))
    at $.cars it does not follow the schema's rule type: "integer"
    """
    steps = _steps_left.set([MAX_STEPS])
    try:
        error = next(_validator()(_root(schema), registry=_no_registry()).iter_errors(value), None)
    except (RecursionError, OverflowError, _TooManySteps):
        return "it is too large or too deep to be checked"
    finally:
        _steps_left.reset(steps)
    if error is None:
        return None
    rule = f"{error.validator}: {json.dumps(error.validator_value)}" if error.validator else "false"
    return f"at {_cut(error.json_path)} it does not follow the schema's rule {_cut(rule)}"


def has_references(schema: Mapping[str, Any]) -> bool:
    """Returns whether `schema` refers to parts of itself, so that it cannot be moved into another schema."""
    return any("$ref" in subschema for subschema in _subschemas(schema))


def _root(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `schema` without the fields that would choose another draft or base URL."""
    return {name: value for name, value in schema.items() if name not in ("$schema", "$id")}


def _subschemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields `schema` and every object in it that may be a schema."""
    waiting: list[Any] = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, Mapping):
            yield item
            for keyword, value in item.items():
                named = keyword in _NAMED and isinstance(value, Mapping)
                waiting += value.values() if named else [] if keyword in _DATA else [value]


def _is_in(root: Mapping[str, Any], reference: object) -> bool:
    match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is None:
        return False
    named = root.get(match[1]) if match[1] else {match[2]: root}
    return isinstance(named, Mapping) and match[2] in named


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    rules = Draft202012Validator.VALIDATORS
    return extend(Draft202012Validator, {name: _limited(name, rule) for name, rule in rules.items()})


@cache
def _no_registry() -> Any:
    """Returns a registry without documents, which fetches none."""
    from referencing import Registry

    return Registry()


def _limited(name: str, rule: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `rule`, which first subtracts the most steps that it may need from those that are left."""

    def limited(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        steps = 1 + _size(value) + _size(instance) ** (2 if name == "uniqueItems" else 1)
        left = _steps_left.get()
        left[0] -= steps
        if left[0] < 0:
            raise _TooManySteps
        return rule(validator, value, instance, schema)

    return limited


def _size(value: object) -> int:
    return len(value) if isinstance(value, (list, dict)) else 0


def _cut(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."
