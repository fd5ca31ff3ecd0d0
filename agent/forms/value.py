"""Reads the value of an answer by its form."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from agent.forms.form import AnswerForm
from agent.forms.headline import headline
from agent.forms.json_schema import value_problem
from agent.forms.polarity import polarity
from agent.forms.quantity import plain
from agent.forms.selection import selected
from agent.forms.unknown import is_unknown, refuses

MAX_JSON_LENGTH: Final = 200_000
MAX_CHECKED_LENGTH: Final = 20_000
_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_CLEAR: Final = 0.5
_NO_JSON: Final = object()


def value_of(form: AnswerForm, text: str) -> Any:
    """Returns the value that `text` has in this form; None if it is unknown or cannot be read.

    The type is bool for `yes_no`, int or float for `number`, the choice as given for `choice`, whatever the
    JSON is for `json`, and the text without outer spaces for the others. `{"answer": ...}`, the result of
    `json_schema`, is read as what is inside.

    >>> value_of(AnswerForm("yes_no"), "No, it is closed."), value_of(AnswerForm("number"), "about twelve")
    (False, 12)
    >>> value_of(AnswerForm("choice", ("Red", "Blue")), "It is blue.")
    'Blue'
    >>> value_of(AnswerForm("short"), "unknown") is None
    True
    """
    if form.kind == "json":
        return _json_value(form, text)[0]
    text = unwrapped(form, text)
    if form.kind == "choice" and (place := selected(form.choices, text)) is not None:
        return form.choices[place]
    if is_unknown(text) or form.kind == "choice":
        return None
    if form.kind == "yes_no":
        sense = 0.0 if refuses(text) else polarity(text)
        return None if abs(sense) < _CLEAR else sense > 0
    if form.kind == "number":
        number = None if refuses(text) else headline(text)
        return None if number is None else plain(number.value)
    return text.strip()


def answer_problem(form: AnswerForm, text: str) -> str | None:
    """Returns why `text` is not an answer of kind `json`; None if it is one, and for all other kinds.

    >>> form = AnswerForm("json", (), {"type": "object", "required": ["cars"]})
    >>> answer_problem(form, "There are two."), answer_problem(form, '{"cars": 2}')
    ('the answer is not JSON', None)
    """
    return _json_value(form, text)[1] if form.kind == "json" else None


def unwrapped(form: AnswerForm, text: str) -> str:
    """Returns `text` without the `{"answer": ...}` of `json_schema` around it, if it has that.

    >>> unwrapped(AnswerForm("number"), '{"answer": 3}'), unwrapped(AnswerForm("short"), "a kettle")
    ('3', 'a kettle')
    """
    if form.kind in ("auto", "text") or (form.kind == "json" and form.schema is None):
        return text
    content = parsed(text)
    if not isinstance(content, dict) or content.keys() != {"answer"}:
        return text
    answer = content["answer"]
    if form.kind == "json":
        return (
            json.dumps(answer, ensure_ascii=False) if _json_value(form, text)[0] in (answer, None) else text
        )
    return answer if isinstance(answer, str) else json.dumps(answer)


def _json_value(form: AnswerForm, text: str) -> tuple[Any, str | None]:
    """Returns the JSON value of `text`, and why it is not valid, or None. The value of "unknown" is None."""
    if is_unknown(text):
        return None, None
    if form.schema is not None and len(text) > MAX_CHECKED_LENGTH:
        return None, f"the answer has more than {MAX_CHECKED_LENGTH} characters"
    content = parsed(text, _NO_JSON)
    if content is _NO_JSON:
        return None, "the answer is not JSON"
    schema = form.schema or {}
    values = [content]
    if isinstance(content, dict) and content.keys() == {"answer"}:
        values.insert("answer" in (schema.get("properties") or ()), content["answer"])
    problem = None
    for value in values:
        if isinstance(value, str) and is_unknown(value):
            return None, None
        found = value_problem(schema, value) if schema else None
        if found is None:
            return value, None
        problem = problem or found
    return None, f"the answer is not JSON of the schema: {problem}"


def parsed(text: str, default: Any = None) -> Any:
    """Returns the JSON in `text`, also in a fenced block or after a sentence; `default` without any.

    >>> parsed('The result is {"cars": 2}.')
    {'cars': 2}
    """
    if len(text) > MAX_JSON_LENGTH:
        return default
    fenced = _FENCED.search(text)
    start = re.search(r"[{\[]", text)
    candidates = [text, fenced[1] if fenced else "", text[start.start() :] if start else ""]
    for candidate in candidates:
        try:
            return (
                _DECODER.raw_decode(candidate.strip())[0]
                if candidate is candidates[-1]
                else _DECODER.decode(candidate)
            )
        except (ValueError, RecursionError):
            continue
    return default


def _finite(literal: str) -> float:
    """Reads a number; rejects NaN, Infinity and numbers above the largest float, which JSON cannot write."""
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal} is no finite number")
    return number


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
