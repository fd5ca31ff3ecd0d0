"""docs/asyncapi.yaml is valid AsyncAPI 3, and says what the code says."""

from __future__ import annotations

import base64
import gzip
import inspect
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from agent.messages import query
from agent.messages.explanation import Explanation, explanation_from_bytes
from agent.messages.feedback import FeedbackMessage
from agent.messages.payload import read_payload
from agent.messages.reply import Answer, Refusal, reply_from_bytes
from agent.messages.seen_telemetry import SeenTelemetry, telemetry_object
from agent.messages.topics import Topics
from cloud.peer import TOPIC as PEERS
from cloud.peer import PeerRecord
from controller.context import Mode
from inarvl.error_codes import ERROR_CODES
from lab.documents.topics import DOCUMENT, Document

SCHEMA = Path(__file__).parent / "asyncapi-3.0.0.schema.json.gz"  # of AsyncAPI's package of specifications
JSON = "application/json"

document = Document(yaml.safe_load(DOCUMENT.read_text()))
content = document.content
messages: dict[str, Any] = content["components"]["messages"]
schemas: dict[str, Any] = content["components"]["schemas"]
EXAMPLES = [(name, example) for name, message in messages.items() for example in message["examples"]]


def validator(schema: Any) -> Draft202012Validator:
    """A validator of a payload, which knows the other schemas of the document."""
    return Draft202012Validator({**schema, "components": content["components"]})


def parse_query(payload: bytes, user: dict[str, str] | None = None) -> object:
    return query.Query.from_fields(*read_payload(payload, user))


def parse_mode(payload: bytes) -> object:
    assert payload.decode() in get_args(Mode)
    return payload


# Events, decision records and the status are only sent; test_messages.py compares them with real ones.
PARSERS: dict[str, Callable[..., object]] = {
    "query": parse_query,
    "image": parse_query,
    "answer": reply_from_bytes,
    "error": reply_from_bytes,
    "explanation": explanation_from_bytes,
    "camera_answer": reply_from_bytes,
    "camera_error": reply_from_bytes,
    "telemetry": lambda payload: SeenTelemetry.of(telemetry_object(payload.decode())),
    "feedback": FeedbackMessage.from_bytes,
    "mode": parse_mode,
    "record": PeerRecord.from_bytes,
}


def test_it_is_valid_asyncapi() -> None:
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    assert [error.message for error in Draft7Validator(schema).iter_errors(content)] == []


def test_the_schema_of_asyncapi_refuses_an_unknown_key() -> None:
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    assert not Draft7Validator(schema).is_valid({**content, "topics": {}})


def topics_in_the_code() -> set[str]:
    names = Topics("{device}")
    topics = {f"{PEERS}/{{peer}}"}
    for name, member in vars(Topics).items():
        if isinstance(member, property):
            topics.add(getattr(names, name))
        elif inspect.isfunction(member) and not name.startswith("_"):
            arguments = list(inspect.signature(member).parameters)[1:]
            topic = getattr(names, name)(**{argument: f"{{{argument}}}" for argument in arguments})
            if isinstance(topic, str) and all(f"{{{argument}}}" in topic for argument in arguments):
                topics.add(topic)
    return topics


def test_it_has_every_topic_of_the_code_and_no_other() -> None:
    assert len(topics_in_the_code()) >= 12
    assert {channel["address"] for channel in content["channels"].values()} == topics_in_the_code()


def test_the_agent_subscribes_to_the_topics_that_it_receives() -> None:
    received = {
        document.resolve(operation["channel"])["address"].replace("{client}", "+")
        for operation in content["operations"].values()
        if operation["action"] == "receive"
    }
    assert received == {*Topics("{device}").received(), f"{PEERS}/{{peer}}"}


def test_every_topic_has_an_operation_and_every_message_an_example() -> None:
    used = {operation["channel"]["$ref"] for operation in content["operations"].values()}
    assert used == {f"#/channels/{name}" for name in content["channels"]}
    assert [name for name, message in messages.items() if not message["examples"]] == []


@pytest.mark.parametrize(
    ("name", "example"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_example_fits_its_schema_and_is_read_by_the_agent(name: str, example: dict[str, Any]) -> None:
    message, payload = messages[name], example["payload"]
    schema = document.resolve(message["payload"])
    Draft202012Validator.check_schema(schema)
    validator(schema).validate(payload)
    if name not in PARSERS:
        return
    if name == "image":
        Draft202012Validator(document.resolve(message["headers"])).validate(example["headers"])
        parsed = parse_query(base64.b64decode(payload), example["headers"])
    elif message.get("contentType", JSON) == JSON:
        parsed = PARSERS[name](json.dumps(payload).encode())
    else:
        parsed = PARSERS[name](payload.encode())
    expected = {
        "explanation": Explanation,
        "answer": Answer,
        "error": Refusal,
        "camera_answer": Answer,
        "camera_error": Refusal,
    }.get(name)
    assert expected is None or isinstance(parsed, expected)


def test_it_has_every_field_of_a_query() -> None:
    assert set(schemas["query"]["properties"]) == set(query.FIELDS)
    assert schemas["query"]["properties"]["question"]["maxLength"] == query.MAX_QUESTION_LENGTH
    assert set(schemas["image_properties"]["properties"]) == set(query.FIELDS) - query.IMAGE_FIELDS


def test_it_has_every_field_of_a_reply() -> None:
    assert set(schemas["answer"]["properties"]) == {field.name for field in fields(Answer)}
    error = set(schemas["error"]["properties"]["error"]["properties"])
    assert (set(schemas["error"]["properties"]) - {"error"}) | error == {f.name for f in fields(Refusal)}


def test_it_has_every_field_of_feedback_and_of_a_peer_record() -> None:
    renamed = {"query_id": "id"}
    assert set(schemas["feedback"]["properties"]) == {
        renamed.get(field.name, field.name) for field in fields(FeedbackMessage)
    }
    assert set(schemas["record"]["properties"]) == {field.name for field in fields(PeerRecord)}


@pytest.mark.parametrize(
    "payload",
    [
        {"image": "/9j/2Q=="},
        {"question": "?", "image": "/9j/2Q==", "images": ["/9j/2Q=="]},
        {"question": "?", "image": "/9j/2Q==", "pin": "board"},
        {"question": "?", "image": "/9j/2Q==", "priority": 10},
        {"question": "?", "image": "/9j/2Q==", "colour": "red"},
        {"question": "?", "image": "/9j/2Q==", "deadline_ms": 0},
    ],
)
def test_the_schema_of_a_query_and_the_agent_refuse_the_same(payload: dict[str, Any]) -> None:
    assert not Draft202012Validator(schemas["query"]).is_valid(payload)
    with pytest.raises(query.BadQuery):
        parse_query(json.dumps(payload).encode())


def test_the_codes_in_the_examples_exist() -> None:
    codes = {code.code for code in ERROR_CODES}
    used = {
        example["payload"]["error"]["code"] if name == "error" else example["payload"].get("code", "internal")
        for name, example in EXAMPLES
        if name in ("error", "event")
    }
    assert used <= codes
