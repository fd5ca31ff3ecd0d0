"""The entity of a standing question: its type follows from the form of the answer."""

from __future__ import annotations

from typing import Any, Final

from agent.forms.form import AnswerForm
from agent.home_assistant.component import Component, only, value_of
from agent.home_assistant.identifier import identifier

MAX_STATE_LENGTH: Final = 255  # of a state of Home Assistant
ATTRIBUTES: Final = (
    *("answer", "value", "tier", "model", "confidence", "latency_ms", "reason", "warning", "error"),
    *("taken_at", "before_at"),
)  # never decision_id: who knows it may give feedback
YES_NO: Final = "{{ 'None' if value_json.value is not defined else 'ON' if value_json.value else 'OFF' }}"
TEXT: Final = f"{{{{ (value_json.answer | default('None', true) | string)[:{MAX_STATE_LENGTH}] }}}}"


def question_component(camera: str, question: str, form: AnswerForm, topic: str) -> Component:
    """Returns the entity of one question.

    An answer that is unknown, and an error in its place, show as unknown; the attributes have the error.

    Args:
        topic: where its answers are published.
    """
    platform, typed = _typed(form)
    fields: dict[str, Any] = {
        "state_topic": topic,
        "json_attributes_topic": topic,
        "json_attributes_template": only(ATTRIBUTES),
        **typed,
    }
    key = f"question_{identifier(camera, question)}_{form.kind}"
    return Component(key, platform, f"{camera} {question}", fields)


def _typed(form: AnswerForm) -> tuple[str, dict[str, Any]]:
    if form.kind == "yes_no":
        return "binary_sensor", {"value_template": YES_NO}
    if form.kind == "number":
        return "sensor", {"value_template": value_of("value"), "state_class": "measurement"}
    if form.kind == "choice":
        options = {"device_class": "enum", "options": list(form.choices)}
        return "sensor", {"value_template": value_of("value"), **options}
    return "sensor", {"value_template": TEXT}
