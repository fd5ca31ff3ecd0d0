"""A client's view of the form of an answer: asked for over MQTT, returned as a value, or refused."""

from __future__ import annotations

import base64
import json

import anyio
import numpy as np
import pytest

from agent.messages.reply import Answer, Refusal
from lab.scenes.question import ask
from lab.scenes.scene import draw
from product import Client, Product, jpeg

pytestmark = pytest.mark.anyio
TIERS = ("local", "cloud")
COLOURS = ("red", "green", "blue", "yellow")


def yes_no_question(seed: int) -> str:
    """Returns a yes/no question about the scene of `jpeg(seed)`."""
    rng = np.random.default_rng(seed)
    return ask(draw(rng), rng, 1, ("existence", "comparison", "spatial"))[0].text


@pytest.fixture(autouse=True)
async def cloud(product: Product) -> None:
    """Waits until the agent has found the cloud."""
    async with product.client() as client:
        with anyio.fail_after(60):
            fields = {"question": "Is there a circle?", "pin": "cloud"}
            while not isinstance(await client.ask(fields, jpeg()[0]), Answer):  # noqa: ASYNC110
                await anyio.sleep(0.2)


async def refusal(client: Client, fields: dict[str, str]) -> Refusal:
    reply = await client.ask({"question": "Is there a circle?", **fields}, jpeg()[0])
    assert isinstance(reply, Refusal), reply
    return reply


@pytest.mark.parametrize("pin", TIERS)
async def test_a_yes_or_no_is_returned_as_a_boolean(product: Product, pin: str) -> None:
    async with product.client() as client:
        values = set()
        for seed in range(6):
            fields = {"question": yes_no_question(seed), "answer": "yes_no", "pin": pin}
            reply = await client.ask(fields, jpeg(seed)[0])
            assert isinstance(reply, Answer), reply
            assert reply.answer in ("yes", "no")
            assert reply.value is (reply.answer == "yes")
            values.add(reply.value)
    assert values == {True, False}


async def test_the_value_is_a_boolean_in_the_json_of_the_reply(product: Product) -> None:
    query = {
        "question": yes_no_question(0),
        "image": base64.b64encode(jpeg()[0]).decode(),
        "answer": "yes_no",
        "pin": "local",
    }
    async with product.client() as client:
        topic = product.topics.query
        await client.connection.publish(
            topic, json.dumps(query).encode(), qos=1, response_topic=client.answers
        )
        reply = json.loads((await client.receive(client.answers)).payload)
    assert isinstance(reply["value"], bool)


@pytest.mark.parametrize("pin", TIERS)
@pytest.mark.parametrize("choices", [" | ".join(COLOURS), ", ".join(COLOURS), json.dumps(COLOURS)])
async def test_choices_beside_a_raw_image_restrict_the_answer(
    product: Product, pin: str, choices: str
) -> None:
    async with product.client() as client:
        fields = {"question": "Which one is it?", "answer": "choice", "choices": choices, "pin": pin}
        reply = await client.ask(fields, jpeg()[0])
    assert isinstance(reply, Answer), reply
    assert reply.answer in (*COLOURS, "unknown")
    assert reply.value == (None if reply.answer == "unknown" else reply.answer)


async def test_without_a_form_the_reply_has_no_value(product: Product) -> None:
    async with product.client() as client:
        reply = await client.ask({"question": yes_no_question(0), "pin": "local"}, jpeg()[0])
    assert isinstance(reply, Answer), reply
    assert reply.value is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"answer": "maybe"}, "unknown answer 'maybe'"),
        ({"answer": "choice"}, "choices"),
        ({"answer": "yes_no", "choices": "a|b"}, "choices"),
        ({"choices": "only one"}, "choices must have 2 to 64 entries"),
        ({"answer": "json", "schema": "{"}, "schema is not valid JSON"),
    ],
)
async def test_an_invalid_form_is_refused_and_its_field_named(
    product: Product, fields: dict[str, str], named: str
) -> None:
    async with product.client() as client:
        found = await refusal(client, fields)
        assert found.code == "bad_field"
        assert named in found.message
        reply = await client.ask({"question": "Is there a circle?", "pin": "local"}, jpeg()[0])
        assert isinstance(reply, Answer), "the agent continues"
