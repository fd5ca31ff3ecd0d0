"""The discovery message has the form that Home Assistant requires, whatever the site file names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.forms.form import AnswerForm
from agent.home_assistant.announced import Announced
from agent.home_assistant.board import Reported, board_components
from agent.home_assistant.component import Component
from agent.home_assistant.discovery import device_id, discovery_message, discovery_topic
from agent.home_assistant.picture import picture_component
from agent.home_assistant.question import question_component
from agent.messages.topics import Topics

SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_name("discovery.schema.json").read_text()))
FORMS = [AnswerForm(kind) for kind in ("yes_no", "number", "short", "text", "json", "auto")] + [
    AnswerForm("choice", ("red", "blue"))
]
NAMES = ("gate-3", "Hof.Tür 2", '{{ states("x") }}', "a" * 128)


def components_of(name: str) -> list[Component]:
    topics = Topics(name)
    questions = [
        question_component(name, form.kind, form, topics.camera_answer(name, form.kind)) for form in FORMS
    ]
    return [
        *board_components(topics, Reported("EUR")),
        *questions,
        picture_component(name, topics.camera_picture(name)),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_message_is_valid(name: str) -> None:
    message = discovery_message(Topics(name), "generic", components_of(name), {"old": "sensor"})
    SCHEMA.validate(message)
    ids = [entity["unique_id"] for entity in message["components"].values() if "unique_id" in entity]
    assert len(set(ids)) == len(ids) == len(components_of(name))


@pytest.mark.parametrize(
    "change",
    [
        {"unique_id": None},
        {"platform": "lamp"},
        {"state_class": "measurement", "options": ["x"]},
        {"device_class": "enum", "options": []},
        {"state_topic": "inarvl/#"},
        {"unit": "W"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_home_assistant_refuses(change: dict[str, Any]) -> None:
    message = discovery_message(Topics("d"), "generic", components_of("d"), {})
    entity = message["components"]["power"] | change
    message["components"]["power"] = {key: value for key, value in entity.items() if value is not None}
    assert not SCHEMA.is_valid(message)


@pytest.mark.parametrize("other", ["gate.3", "gate_3", "Gate-3", "gate 3"])
def test_similar_names_have_different_ids(other: str) -> None:
    assert device_id("gate-3") != device_id(other)
    assert len({device_id(name) for name in ("gate.3", "gate 3", "gate/3", "gate_3")}) == 4


@pytest.mark.parametrize("name", NAMES)
def test_home_assistant_accepts_the_topic(name: str) -> None:
    *prefix, device, node, config = discovery_topic("ha/discovery", name).split("/")
    assert (prefix, device, config) == (["ha", "discovery"], "device", "config")
    assert node.isascii()
    assert node.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("telemetry", "added"),
    [
        ({}, set()),
        ({"spend": None}, set()),
        ({"spend": {"currency": "EUR", "today": 0.1}}, {"spend"}),
    ],
    ids=str,
)
def test_spend_appears_only_if_it_is_reported(telemetry: dict[str, Any], added: set[str]) -> None:
    usual = {component.key for component in board_components(Topics("d"), Reported())}
    reported = {component.key for component in board_components(Topics("d"), Reported.of(telemetry))}
    assert reported - usual == added


def test_the_page_lists_every_entity() -> None:
    page = (Path(__file__).parents[3] / "docs" / "home-assistant.md").read_text()
    components = board_components(Topics("gate-3"), Reported("EUR"))
    rows = [
        f"| `{component.platform}.gate_3_{component.name.lower().replace(' ', '_')}` | {component.name} |"
        for component in components
    ]
    assert [row for row in rows if row not in page] == []


def test_a_question_with_another_form_is_another_entity() -> None:
    keys = [question_component("c", "q", form, "t").key for form in FORMS]
    assert len(set(keys)) == len(FORMS)


def test_an_entity_is_removed_until_it_is_added_again() -> None:
    power, mode = components_of("d")[0], components_of("d")[6]
    announced = Announced("topic").followed_by([power, mode]).followed_by([mode])
    assert announced.removed([mode]) == {power.key: power.platform}
    assert Announced.from_json(announced.to_json()).removed([mode, power]) == {}
