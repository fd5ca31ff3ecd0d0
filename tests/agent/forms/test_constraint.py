"""Which answers the constraints of a form allow."""

import json
import re

import jsonschema
import pytest

from agent.forms.constraint import grammar, json_schema, pattern, response_format, structured_outputs
from agent.forms.form import AnswerForm
from agent.forms.prompt import max_tokens, prompt_suffix
from agent.forms.value import value_of

CHOICE = AnswerForm("choice", ("a+b", 'say "no"', "x\\y"))
TABLE = AnswerForm("json", (), {"type": "object", "properties": {"cars": {"type": "integer"}}})
FREE = (AnswerForm("auto"), AnswerForm("text"))


@pytest.mark.parametrize("form", FREE)
def test_free_text_is_not_constrained(form: AnswerForm) -> None:
    assert prompt_suffix(form) == ""
    found = {json_schema(form), pattern(form), grammar(form), structured_outputs(form), response_format(form)}  # type: ignore[arg-type]
    assert found == {None}
    assert max_tokens(form) is None


@pytest.mark.parametrize(
    "form",
    [AnswerForm("yes_no"), AnswerForm("number"), CHOICE, AnswerForm("short"), TABLE],
    ids=lambda form: form.kind,
)
def test_unknown_is_always_allowed_and_the_prompt_has_it(form: AnswerForm) -> None:
    assert "unknown" in prompt_suffix(form)
    jsonschema.validate({"answer": "unknown"}, json_schema(form))
    if (expression := pattern(form)) is not None:
        assert re.fullmatch(expression, "unknown")
    assert value_of(form, '{"answer": "unknown"}') is None


@pytest.mark.parametrize(
    ("form", "valid", "invalid"),
    [
        (AnswerForm("yes_no"), ("yes", "no"), ("maybe", "yes no")),
        (AnswerForm("number"), ("0", "-3", "12.5"), ("", "1.", "twelve", "05")),
        (CHOICE, CHOICE.choices, ("aab", "a+b, x")),
        (AnswerForm("short"), ("two words",), ("two\nlines", "x" * 121)),
    ],
)
def test_patterns_allow_the_answers_of_the_form(
    form: AnswerForm, valid: tuple[str, ...], invalid: tuple[str, ...]
) -> None:
    expression = pattern(form)
    assert expression is not None
    assert all(re.fullmatch(expression, text) for text in valid)
    assert not any(re.fullmatch(expression, text) for text in invalid)


@pytest.mark.parametrize("text", ["0", "-3", "12.5", "1000"])
def test_a_constrained_number_is_read_back(text: str) -> None:
    assert value_of(AnswerForm("number"), text) == float(text)


def test_a_constrained_choice_is_read_back() -> None:
    for choice in CHOICE.choices:
        assert value_of(CHOICE, choice) == choice
        assert value_of(CHOICE, json.dumps({"answer": choice})) == choice


def test_engines_receive_their_own_fields() -> None:
    assert structured_outputs(CHOICE) == {"choice": [*CHOICE.choices, "unknown"]}
    assert structured_outputs(AnswerForm("number")) == {"regex": pattern(AnswerForm("number"))}
    assert structured_outputs(AnswerForm("json")) == {"json_object": True}
    assert response_format(AnswerForm("json")) == {"type": "json_object"}
    assert grammar(CHOICE) == r'root ::= "a+b" | "say \"no\"" | "x\\y" | "unknown"'
    found = response_format(TABLE)
    assert found is not None
    assert found["json_schema"]["schema"]["required"] == ["answer"]
    assert not found["json_schema"]["strict"]
    number = response_format(AnswerForm("number"))
    assert number is not None
    assert number["json_schema"]["strict"]


def test_a_schema_that_refers_to_itself_is_not_moved_into_another_one() -> None:
    tree = AnswerForm("json", (), {"type": "array", "items": {"$ref": "#"}})
    assert response_format(tree) == {"type": "json_object"}


def test_no_choice_is_cut_off() -> None:
    cap = max_tokens(AnswerForm("choice", ("ja", "\u00fcberhaupt nicht")))
    assert cap is not None
    assert cap >= len("\u00fcberhaupt nicht".encode())
