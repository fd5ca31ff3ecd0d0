"""Forms as constraints on what a model server may generate.

Each function returns None for `auto` and `text`, which are not constrained. "unknown" is always allowed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from agent.forms.form import AnswerForm
from agent.forms.json_schema import has_references
from agent.forms.prompt import UNKNOWN

NUMBER: Final = r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?"
_SHORT_LENGTH: Final = 120


def allowed(form: AnswerForm) -> tuple[str, ...]:
    """Returns all answers of a form that has few, else ().

    >>> allowed(AnswerForm("choice", ("red", "blue")))
    ('red', 'blue', 'unknown')
    """
    if form.kind not in ("yes_no", "choice"):
        return ()
    answers = ("yes", "no") if form.kind == "yes_no" else form.choices
    return answers if UNKNOWN in answers else (*answers, UNKNOWN)


def pattern(form: AnswerForm) -> str | None:
    """Returns the regular expression that matches the whole answer; None also for `json`.

    >>> pattern(AnswerForm("yes_no"))
    '(?:yes|no|unknown)'
    """
    if form.kind == "number":
        return f"(?:{NUMBER}|{UNKNOWN})"
    if form.kind == "short":
        return rf"[^\n]{{1,{_SHORT_LENGTH}}}"
    answers = allowed(form)
    return f"(?:{'|'.join(map(re.escape, answers))})" if answers else None


def json_schema(form: AnswerForm) -> dict[str, Any] | None:
    """Returns the schema of `{"answer": ...}`; its root is an object, as OpenAI's strict mode requires.

    >>> json_schema(AnswerForm("yes_no"))["properties"]
    {'answer': {'enum': ['yes', 'no', 'unknown']}}
    """
    if form.kind in ("auto", "text"):
        return None
    answer: dict[str, Any]
    if form.kind == "number":
        answer = {"anyOf": [{"type": "number"}, {"enum": [UNKNOWN]}]}
    elif form.kind == "short":
        answer = {"type": "string", "maxLength": _SHORT_LENGTH}
    elif form.kind == "json":
        answer = {} if form.schema is None else {"anyOf": [dict(form.schema), {"enum": [UNKNOWN]}]}
    else:
        answer = {"enum": list(allowed(form))}
    return {
        "type": "object",
        "properties": {"answer": answer},
        "required": ["answer"],
        "additionalProperties": False,
    }


def response_format(form: AnswerForm) -> dict[str, Any] | None:
    """Returns the field `response_format` of an OpenAI chat completion.

    A schema of the sender is not sent as strict, because most do not follow the rules of the strict mode. One
    that refers to parts of itself cannot be sent inside of another schema.
    """
    schema = json_schema(form)
    if schema is None:
        return None
    if form.kind == "json" and (form.schema is None or has_references(form.schema)):
        return {"type": "json_object"}
    strict = form.kind != "json"
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": strict, "schema": schema}}


def structured_outputs(form: AnswerForm) -> dict[str, Any] | None:
    """Returns the field `structured_outputs` of vLLM.

    >>> structured_outputs(AnswerForm("yes_no"))
    {'choice': ['yes', 'no', 'unknown']}
    """
    if form.kind == "json":
        return {"json_object": True} if form.schema is None else {"json": json_schema(form)}
    if answers := allowed(form):
        return {"choice": list(answers)}
    expression = pattern(form)
    return None if expression is None else {"regex": expression}


def grammar(form: AnswerForm) -> str | None:
    """Returns the field `grammar` (GBNF) of llama.cpp's server; None for `json`: send its schema instead.

    >>> grammar(AnswerForm("yes_no"))
    'root ::= "yes" | "no" | "unknown"'
    """
    if form.kind == "number":
        return f'root ::= "-"? [0-9]{{1,15}} ("." [0-9]{{1,6}})? | {json.dumps(UNKNOWN)}'
    if form.kind == "short":
        return rf"root ::= [^\n]{{1,{_SHORT_LENGTH}}}"
    answers = allowed(form)
    return f"root ::= {' | '.join(map(_literal, answers))}" if answers else None


def _literal(text: str) -> str:
    return (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
    )
