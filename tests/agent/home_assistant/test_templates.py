"""What the templates show of the agent's messages: a missing value is unknown, not 0."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.forms.form import AnswerForm
from agent.home_assistant.board import Reported, board_components
from agent.home_assistant.question import question_component
from agent.messages.topics import Topics

# Home Assistant renders with Jinja, which is a dependency of the model server alone.
sandbox = pytest.importorskip("jinja2.sandbox", reason="needs jinja2, of the extra vlm")

COMPONENTS = {component.key: component.fields for component in board_components(Topics("d"), Reported("EUR"))}
EMPTY: dict[str, Any] = {
    "device": {},
    "servers": [],
    "spool": {"max_bytes": 1},
    "queue": {"waiting": 0},
    "version": "1.2",
    "spend": {"currency": "EUR", "today": 0.0},
    "controller": {"questions": 0, "edge_share": 0.0, "floor": 0.97},
}
FULL = EMPTY | {
    "device": {"power_w": 7.25, "temp_c": 51.5},
    "servers": [
        {"tier": "local", "id": "board", "healthy": True},
        {"tier": "cloud", "id": "gpu-1", "healthy": True},
        {"tier": "cloud", "id": "gpu-2", "healthy": False},
    ],
    "spool": {"open": 2, "bytes": 9, "max_bytes": 1},
    "queue": {"waiting": 3},
    "spend": {"currency": "EUR", "today": 0.25},
    "controller": {
        "questions": 8,
        "edge_share": 0.625,
        "floor": 0.97,
        "kept": {"low": 0.951, "estimate": 0.982, "high": 0.996},
    },
}


def rendered(template: str, message: Any) -> str:
    environment = sandbox.ImmutableSandboxedEnvironment()
    return str(environment.from_string(template).render(value_json=message, value=json.dumps(message)))


@pytest.mark.parametrize(
    ("key", "empty", "full"),
    [
        ("power", "None", "7.25"),
        ("temperature", "None", "51.5"),
        ("edge_share", "None", "62.5"),
        ("accuracy", "None", "98.2"),
        ("queue", "0", "3"),
        ("peers", "0", "1"),
        ("version", "1.2", "1.2"),
        ("spend", "0.0", "0.25"),
        ("spool", "None", "2"),
    ],
)
def test_readings(key: str, empty: str, full: str) -> None:
    template = COMPONENTS[key]["value_template"]
    assert (rendered(template, EMPTY), rendered(template, FULL)) == (empty, full)


def test_attributes_of_the_accuracy() -> None:
    template = COMPONENTS["accuracy"]["json_attributes_template"]
    assert json.loads(rendered(template, FULL)) == {
        "interval_low": 95.1,
        "interval_high": 99.6,
        "floor": 97.0,
    }
    assert json.loads(rendered(template, EMPTY)) == {
        "interval_low": None,
        "interval_high": None,
        "floor": 97.0,
    }


def test_latency_is_that_of_the_attempt_with_the_answer() -> None:
    template = COMPONENTS["latency"]["value_template"]
    assert rendered(template, {"runs": [{"latency_ms": 9.0}, {"latency_ms": 30.5}], "chosen": 1}) == "30.5"
    assert rendered(template, {"runs": [{"failure": "late"}], "chosen": 0}) == "None"


@pytest.mark.parametrize(
    ("event", "drift", "error"),
    [
        ({"event": "drift", "message": 'a "link"'}, {"event_type": "drift", "message": 'a "link"'}, None),
        (
            {"event": "error", "code": "c", "message": "m"},
            None,
            {"event_type": "error", "code": "c", "message": "m"},
        ),
        ({"event": "mode", "mode": "auto"}, None, None),
    ],
    ids=str,
)
def test_events(event: dict[str, str], drift: Any, error: Any) -> None:
    for kind, expected in (("drift", drift), ("error", error)):
        shown = rendered(COMPONENTS[kind]["value_template"], event)
        assert (json.loads(shown) if shown else None) == expected


@pytest.mark.parametrize(
    ("form", "reply", "state"),
    [
        (AnswerForm("yes_no"), {"answer": "yes", "value": True}, "ON"),
        (AnswerForm("yes_no"), {"answer": "no", "value": False}, "OFF"),
        (AnswerForm("yes_no"), {"answer": "unknown"}, "None"),
        (AnswerForm("yes_no"), {"error": {"code": "busy"}}, "None"),
        (AnswerForm("number"), {"answer": "0", "value": 0}, "0"),
        (AnswerForm("number"), {"answer": "many"}, "None"),
        (AnswerForm("choice", ("red", "blue")), {"answer": "Red.", "value": "red"}, "red"),
        (AnswerForm("choice", ("red", "blue")), {"answer": "?"}, "None"),
        (AnswerForm("text"), {"answer": "{{ 1 + 1 }} é"}, "{{ 1 + 1 }} é"),
        (AnswerForm("text"), {"answer": "x" * 300}, "x" * 255),
        (AnswerForm("text"), {"answer": ""}, "None"),
        (AnswerForm("text"), {"error": {"code": "busy"}}, "None"),
        (AnswerForm(), {"answer": "a gate"}, "a gate"),
    ],
    ids=str,
)
def test_answers(form: AnswerForm, reply: dict[str, Any], state: str) -> None:
    fields = question_component("c", "q", form, "t").fields
    assert rendered(fields["value_template"], reply) == state


def test_attributes_of_an_answer_have_no_decision_id() -> None:
    fields = question_component("c", "q", AnswerForm("text"), "t").fields
    reply = {
        "answer": "x" * 300,
        "tier": "local",
        "decision_id": "secret",
        "id": "1",
        "error": {"code": "busy"},
    }
    shown = json.loads(rendered(fields["json_attributes_template"], reply))
    assert shown == {"answer": "x" * 300, "tier": "local", "error": {"code": "busy"}}
