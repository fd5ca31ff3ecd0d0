"""Reads the value of an answer by its form."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from agent.forms.form import AnswerForm
from agent.forms.headline import headline
from agent.forms.polarity import polarity
from agent.forms.quantity import plain
from agent.forms.selection import selected
from agent.forms.unknown import is_unknown, refuses

MAX_JSON_LENGTH: Final = 200_000
_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_CLEAR: Final = 0.5


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
    content = parsed(text) if form.kind not in ("auto", "text") else None
    if isinstance(content, dict) and content.keys() == {"answer"}:
        content = content["answer"]
        if form.kind != "json":
            text = content if isinstance(content, str) else json.dumps(content)
    if form.kind == "choice" and (place := selected(form.choices, text)) is not None:
        return form.choices[place]
    if form.kind == "json":
        return None if isinstance(content, str) and is_unknown(content) else content
    if is_unknown(text) or form.kind == "choice":
        return None
    if form.kind == "yes_no":
        sense = 0.0 if refuses(text) else polarity(text)
        return None if abs(sense) < _CLEAR else sense > 0
    if form.kind == "number":
        number = None if refuses(text) else headline(text)
        return None if number is None else plain(number.value)
    return text.strip()


def parsed(text: str) -> Any:
    """Returns the JSON in `text`, also in a fenced block or after a sentence; None without any.

    >>> parsed('The result is {"cars": 2}.')
    {'cars': 2}
    """
    if len(text) > MAX_JSON_LENGTH:
        return None
    fenced = _FENCED.search(text)
    start = re.search(r"[{\[]", text)
    candidates = [text, fenced[1] if fenced else "", text[start.start() :] if start else ""]
    for candidate in candidates:
        try:
            return (
                json.JSONDecoder().raw_decode(candidate.strip())[0]
                if candidate is candidates[-1]
                else json.loads(candidate)
            )
        except (ValueError, RecursionError):
            continue
    return None
