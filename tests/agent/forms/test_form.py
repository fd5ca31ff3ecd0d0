"""Which fields make a form, and which are refused."""

import json
from typing import Any

import pytest

from agent.forms.form import MAX_CHOICES, MAX_SCHEMA_LENGTH, AnswerForm, BadForm
from inarvl.errors import InarvlError


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, AnswerForm("auto")),
        ({"question": "Is it red?", "answer": "yes_no"}, AnswerForm("yes_no")),
        ({"answer": "choice", "choices": ["red", "blue"]}, AnswerForm("choice", ("red", "blue"))),
        (
            {"answer": "choice", "choices": '["red", "dark, blue"]'},
            AnswerForm("choice", ("red", "dark, blue")),
        ),
        ({"answer": "choice", "choices": "red| blue |green"}, AnswerForm("choice", ("red", "blue", "green"))),
        ({"answer": "choice", "choices": "red, blue"}, AnswerForm("choice", ("red", "blue"))),
        ({"choices": ["red", "blue"]}, AnswerForm("choice", ("red", "blue"))),
        ({"answer": "json"}, AnswerForm("json")),
        ({"schema": '{"type": "object"}'}, AnswerForm("json", (), {"type": "object"})),
        ({"answer": "json", "schema": {"type": "array"}}, AnswerForm("json", (), {"type": "array"})),
    ],
)
def test_fields_make_a_form(fields: dict[str, Any], form: AnswerForm) -> None:
    assert AnswerForm.from_fields(fields) == form


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"answer": "maybe"},
            "unknown answer 'maybe': use one of yes_no, number, choice, short, text, json, auto",
        ),
        ({"answer": 3}, "unknown answer 3"),
        ({"answer": "choice"}, "send both or neither"),
        ({"answer": "text", "choices": ["red", "blue"]}, "send both or neither"),
        ({"choices": "red"}, f"choices must have 2 to {MAX_CHOICES} entries, not 1"),
        ({"choices": [str(n) for n in range(MAX_CHOICES + 1)]}, f"not {MAX_CHOICES + 1}"),
        ({"choices": ["red", 3]}, "choices must be a list of strings"),
        ({"choices": {"red": 1}}, "choices must be a list of strings"),
        ({"choices": ["red", " "]}, "1 to 200 characters"),
        ({"choices": ["red", "Red"]}, "two of choices are equal"),
        ({"choices": '["red"'}, "choices is not a valid JSON list"),
        ({"choices": "[" * 100_000}, "choices is not a valid JSON list"),
        ({"answer": "text", "schema": {}}, "schema is only for answer json, not text"),
        ({"answer": "json", "schema": "{"}, "schema is not valid JSON"),
        ({"answer": "json", "schema": "[1]"}, "schema must be a JSON object"),
        ({"schema": {"enum": ["x" * MAX_SCHEMA_LENGTH]}}, "schema has more than"),
        ({"schema": " " * (MAX_SCHEMA_LENGTH + 1)}, "schema has more than"),
        ({"schema": {"enum": {1, 2}}}, "schema cannot be written as JSON"),
        ({"schema": {"type": "car"}}, "schema is invalid at $.type: 'car'"),
        ({"schema": {"properties": [1]}}, "schema is invalid at $.properties"),
        ({"schema": {"properties": {"plate": {"pattern": "(a+)+$"}}}}, "schema uses pattern, which"),
        ({"schema": {"items": {"$id": "https://example.org/"}}}, "schema uses $id, which"),
    ],
)
def test_invalid_fields_are_refused_with_the_reason(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadForm) as caught:
        AnswerForm.from_fields(fields)
    assert message in str(caught.value)
    assert isinstance(caught.value, InarvlError)
    assert isinstance(caught.value, ValueError)


def test_a_form_with_a_schema_can_be_a_key() -> None:
    form = AnswerForm("json", (), json.loads('{"type": "object"}'))
    assert {form: 1}[form] == 1
