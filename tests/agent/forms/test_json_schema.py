"""A schema that could take unlimited time, or a network, is refused; an answer is checked in bounded time."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from typing import Any

import pytest

from agent.forms.json_schema import MAX_SUBSCHEMAS, has_references, schema_problem, value_problem

CARS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.org/cars.json",
    "type": "object",
    "properties": {
        "cars": {"type": "array", "items": {"$ref": "#/$defs/Car"}},
        "pattern": {"type": "string"},
    },
    "required": ["cars"],
    "additionalProperties": False,
    "$defs": {"Car": {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}}},
}
RED: dict[str, Any] = {"cars": [{"colour": "red"}]}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


def test_a_schema_with_definitions_is_valid_and_a_property_may_have_the_name_of_a_keyword() -> None:
    assert schema_problem(CARS) is None
    assert has_references(CARS)
    assert value_problem(CARS, RED) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], 'at $ it does not follow the schema\'s rule type: "object"'),
        ({}, 'at $ it does not follow the schema\'s rule required: ["cars"]'),
        ({"cars": [{"colour": "green"}]}, "at $.cars[0].colour it does not follow"),
        ({**RED, "bus": 1}, "at $ it does not follow the schema's rule additionalProperties: false"),
    ],
)
def test_the_place_and_the_rule_are_named_and_the_value_is_not_quoted(value: Any, problem: str) -> None:
    found = value_problem(CARS, value)
    assert found is not None
    assert found.startswith(problem)
    assert "green" not in found


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.org/car.json",
        "file:///etc/passwd",
        "car.json",
        "#/$defs/Bus",
        "#Car",
        "#/default",
        "#/$defs/a%2fdefault",
        "#/$defs/Car/default",
        7,
    ],
)
def test_a_reference_to_anything_but_a_definition_is_refused(
    reference: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    schema = {
        "items": {"$ref": reference},
        "default": {"pattern": "a"},
        "$defs": {"Car": {}, "a%2fdefault": {}},
    }
    problem = schema_problem(schema)
    assert problem is not None
    assert "refer only to #/$defs/NAME" in problem


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"patternProperties": {"(a+)+$": {}}}, "uses patternProperties"),
        ({"unevaluatedProperties": False}, "uses unevaluatedProperties"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "uses $schema"),
        ({"allOf": [{}] * (MAX_SUBSCHEMAS + 1)}, f"has more than {MAX_SUBSCHEMAS} parts"),
        (nested(MAX_SUBSCHEMAS - 2), "is nested too deeply"),
        ({"items": [{"type": "integer"}]}, "is invalid at $.items"),
    ],
)
def test_an_unusable_schema_is_refused(schema: dict[str, Any], problem: str) -> None:
    assert (schema_problem(schema) or "").startswith(problem)


def exponential() -> dict[str, Any]:
    names = [f"d{number}" for number in range(40)]
    steps = {one: {"allOf": [{"$ref": f"#/$defs/{other}"}] * 2} for one, other in itertools.pairwise(names)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, names[-1]: {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (exponential(), 3),
        ({"$ref": "#"}, 3),
        ({"uniqueItems": True}, [[number] if number % 2 else {"a": number} for number in range(5000)]),
        ({"items": {"enum": list(range(4000))}}, [1] * 9000),
    ],
)
def test_the_check_of_an_answer_ends_soon(schema: dict[str, Any], value: Any) -> None:
    assert schema_problem(schema) is None
    before = time.process_time()
    assert value_problem(schema, value) == "it is too large or too deep to be checked"
    assert time.process_time() - before < 20


def test_the_package_jsonschema_is_imported_only_for_a_schema() -> None:
    program = "import sys, agent.cli.main; print('jsonschema' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
