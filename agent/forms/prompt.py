"""What is added to a question so that the model answers in a form."""

from __future__ import annotations

import json
from typing import Final

from agent.forms.form import AnswerForm

UNKNOWN: Final = "unknown"
_OR_UNKNOWN: Final = f"If it cannot be determined, answer {UNKNOWN}."
_MAX_TOKENS: Final = {"yes_no": 8, "number": 24, "short": 40}  # with 8 for {"answer": ...} around it


def prompt_suffix(form: AnswerForm) -> str:
    """Returns the sentences to add to the question; "" for `auto` and `text`.

    >>> prompt_suffix(AnswerForm("yes_no"))
    'Answer yes or no. If it cannot be determined, answer unknown.'
    """
    if form.kind in ("auto", "text"):
        return ""
    if form.kind == "json":
        by = "" if form.schema is None else f" that follows this schema: {json.dumps(form.schema)}"
        return f'Answer only with JSON{by}. If it cannot be determined, answer "{UNKNOWN}".'
    asked = {
        "yes_no": "Answer yes or no.",
        "number": "Answer only with a number in digits.",
        "choice": f"Answer only with one of: {', '.join(form.choices)}.",
        "short": "Answer only with a few words.",
    }[form.kind]
    return f"{asked} {_OR_UNKNOWN}"


def max_tokens(form: AnswerForm) -> int | None:
    """Returns the most tokens that an answer of this form needs; None for `text`, `json` and `auto`.

    >>> max_tokens(AnswerForm("yes_no")), max_tokens(AnswerForm("text"))
    (8, None)
    """
    if form.kind == "choice":
        # A token has at least one byte, so no choice is cut off.
        return 8 + max(len(choice.encode()) for choice in form.choices)
    return _MAX_TOKENS.get(form.kind)
