"""What is compared in the answers to a question."""

from __future__ import annotations

from typing import Final, Literal, get_args

from agent.forms.form import AnswerForm
from agent.forms.infer import asks_to_count, asks_to_read

Task = Literal["yes_no", "choice", "count", "number", "reading", "label", "open"]
TASKS: Final = get_args(Task)


def task_of(question: str, form: AnswerForm) -> Task:
    """Returns the task of a question; the form is not `auto`.

    A number is a count, which is equal or not, or a measured value, which may differ a little. A short answer
    is text read from the image, where each character counts, or a label.

    >>> task_of("What does the sign say?", AnswerForm("short"))
    'reading'
    """
    if form.kind == "yes_no" or form.kind == "choice":
        return form.kind
    if form.kind == "number":
        return "count" if asks_to_count(question) else "number"
    if form.kind == "short":
        return "reading" if asks_to_read(question) else "label"
    return "open"
