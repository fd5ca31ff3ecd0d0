"""The messages of a running agent are those that docs/asyncapi.yaml describes."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio
import pytest
import yaml
from jsonschema import Draft202012Validator

from agent.messages.mqtt_message import Message
from lab.documents.topics import DOCUMENT, Document
from product import Product, jpeg

TIMEOUT_S = 120.0

pytestmark = pytest.mark.anyio
document = Document(yaml.safe_load(DOCUMENT.read_text()))


def describes(message: Message) -> list[str]:
    """The problems of a message by the schemas of its topic; none if one of them describes it."""
    for channel in document.content["channels"].values():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(channel["address"]))
        if re.fullmatch(pattern, message.topic):
            return min(
                (problems(document.resolve(one), message) for one in channel["messages"].values()), key=len
            )
    return [f"{message.topic} is no topic of the document"]


def problems(kind: Any, message: Message) -> list[str]:
    schema = document.resolve(kind["payload"])
    text = message.payload.decode()
    payload = text if kind.get("contentType") == "text/plain" else json.loads(text)
    known = {**schema, "components": document.content["components"]}
    found = [error.message for error in Draft202012Validator(known).iter_errors(payload)]
    if isinstance(payload, dict):
        found += [f"{name} is not described" for name in payload.keys() - schema["properties"].keys()]
    return found


async def receive(product: Product, topic: str, *, question: dict[str, str] | None = None) -> Message:
    """The next message on a topic, after a question if there is one."""
    image, text = jpeg()
    with anyio.fail_after(TIMEOUT_S):
        async with product.client(also=topic) as client:
            if question is not None:
                await client.connection.publish(
                    product.topics.query,
                    image,
                    qos=1,
                    response_topic=client.answers,
                    user={"question": text, **question},
                )
            return await client.receive(client.answers if topic.endswith("result") else topic)


@pytest.mark.parametrize("kind", ["result", "decision"])
async def test_an_answer_and_its_record_are_as_described(product: Product, kind: str) -> None:
    message = await receive(product, f"inarvl/{product.topics.device}/{kind}", question={})
    assert describes(message) == []


async def test_the_explanation_of_a_dry_run_is_as_described(product: Product) -> None:
    message = await receive(product, f"inarvl/{product.topics.device}/result", question={"dry_run": "true"})
    assert describes(message) == []
    assert json.loads(message.payload)["decision"]["arms"]


async def test_an_error_is_as_described(product: Product) -> None:
    message = await receive(product, f"inarvl/{product.topics.device}/result", question={"pin": "moon"})
    assert describes(message) == []
    assert json.loads(message.payload)["error"]["code"] == "unknown_pin"


@pytest.mark.parametrize("kind", ["status", "telemetry", "mode/state"])
async def test_a_retained_message_is_as_described(product: Product, kind: str) -> None:
    message = await receive(product, f"inarvl/{product.topics.device}/{kind}")
    assert describes(message) == []


async def test_an_event_is_as_described(product: Product) -> None:
    async with product.client(also=product.topics.event) as client:
        await client.connection.publish(product.topics.mode_set, b"moon", qos=1)
        message = await client.receive(product.topics.event)
    assert describes(message) == []
