"""A client's view of the whole product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.messages.query import Query
from agent.messages.reply import Answer, Refusal
from product import Product, jpeg

pytestmark = pytest.mark.anyio
TIMEOUT_S = 60.0


async def answering_tier(product: Product, pin: str | None = None) -> str:
    """The tier that answers a question now, or the error code."""
    image, question = jpeg()
    fields = {"question": question} | ({"pin": pin} if pin else {})
    async with product.client() as client:
        reply = await client.ask(fields, image)
    return reply.tier if isinstance(reply, Answer) else reply.code


async def until_cloud_answers(product: Product) -> None:
    with anyio.fail_after(TIMEOUT_S):
        while await answering_tier(product, "cloud") != "cloud":  # noqa: ASYNC110 # each turn asks again
            await anyio.sleep(0.2)


async def test_both_tiers_answer(product: Product) -> None:
    await until_cloud_answers(product)
    image, question = jpeg()
    async with product.client() as client:
        for pin in ("local", "cloud"):
            reply = await client.ask({"id": pin, "question": question, "pin": pin}, image)
            assert isinstance(reply, Answer), reply
            assert (reply.id, reply.tier) == (pin, pin)
            assert reply.answer
            assert reply.reason
            assert reply.latency_ms > 0
            sources = {"cloud": {"modelled"}, "local": {"measured", "modelled"}}  # depends on the sensors
            assert reply.energy_source in sources[pin]


@pytest.mark.slow
async def test_without_its_peer_the_board_answers_until_the_peer_is_back(product: Product) -> None:
    await until_cloud_answers(product)
    product.services["cloud"].kill()
    assert [await answering_tier(product) for _ in range(5)] == ["local"] * 5
    with anyio.fail_after(TIMEOUT_S):
        while (code := await answering_tier(product, "cloud")) != "no_arm":
            assert code == "unanswered", "only until the agent notices that the peer is gone"
    product.start("cloud").wait_ready(TIMEOUT_S, lambda _status: None)
    await until_cloud_answers(product)
    assert await answering_tier(product, "local") == "local"


async def test_the_mode_is_obeyed_and_survives_a_restart(product: Product) -> None:
    await until_cloud_answers(product)
    try:
        async with product.client() as client:
            for mode, tier in (("local", "local"), ("cloud", "cloud")):
                await client.connection.publish(product.topics.mode_set, mode.encode(), qos=1)
                assert await answering_tier(product) == tier
        product.services["agent"].kill()
        product.start("agent").wait_ready(TIMEOUT_S, lambda _status: None)
        assert await answering_tier(product) == "cloud"
    finally:
        async with product.client() as client:
            await client.connection.publish(product.topics.mode_set, b"auto", qos=1)


async def test_an_mqtt_3_client_is_answered_by_the_fields_of_its_json(product: Product) -> None:
    image, question = jpeg()
    async with product.client(protocol="3.1.1") as client:
        query = Query("7", question, image, response_topic=client.answers, correlation="c-7")
        await client.connection.publish(product.topics.query, query.to_bytes(), qos=1)
        reply = await client.reply()
    assert isinstance(reply, Answer)
    assert (reply.id, reply.correlation) == ("7", "c-7")


async def test_correlation_data_is_returned(product: Product) -> None:
    image, question = jpeg()
    async with product.client() as client:
        await client.connection.publish(
            product.topics.query,
            image,
            qos=1,
            response_topic=client.answers,
            correlation=b"\x00\x01",
            user={"question": question},
        )
        assert (await client.receive(client.answers)).correlation == b"\x00\x01"


def test_ask_shows_that_a_photo_is_too_large(product: Product, tmp_path: Path) -> None:
    """The reply to a query that is too large to be read arrives by its MQTT 5 response topic."""
    image, question = jpeg()
    photo = tmp_path / "large.jpg"
    photo.write_bytes(image + bytes(200_000))
    tool = str(Path(sys.executable).with_name("inarvl"))
    command = [tool, "ask", str(photo), question, "--config", str(product.config)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert "too_large" in run.stderr


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto-clients is not installed")
def test_mosquitto_pub_gets_its_answer(product: Product, tmp_path: Path) -> None:
    image, question = jpeg()
    (tmp_path / "shot.jpg").write_bytes(image)
    broker, answers = ["-p", str(product.port), "-V", "5"], product.topics.result("lab")
    subscriber = subprocess.Popen(
        ["mosquitto_sub", *broker, "-t", answers, "-C", "1", "-W", "60"],
        stdout=subprocess.PIPE,
        text=True,
    )
    publish = ["mosquitto_pub", *broker, "-t", product.topics.query, "-q", "1"]
    publish += ["-f", str(tmp_path / "shot.jpg"), "-D", "publish", "response-topic", answers]
    publish += ["-D", "publish", "user-property", "question", question]
    answer = ""
    while not answer and subscriber.poll() is None:  # the subscription may not be active yet
        subprocess.run(publish, check=True)
        try:
            answer, _ = subscriber.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    assert json.loads(answer)["answer"]


BAD: dict[str, Any] = {
    "bad_json": b'{"question": ',
    "bad_image": b'{"question": "what?", "image": "bm8gaW1hZ2U="}',
    "missing_question": b'{"image": "bm8gaW1hZ2U="}',
    "missing_image": b'{"question": "what?"}',
    "unknown_field": b'{"question": "what?", "image": "bm8=", "colour": 1}',
    "unknown_pin": b'{"question": "what?", "image": "bm8=", "pin": "moon"}',
    "deadline_expired": b'{"question": "what?", "image": "bm8=", "deadline_ms": -1}',
    "image_not_allowed": b'{"question": "what?", "image_url": "file:///etc/hostname"}',
    "too_large": b"\xff\xd8\xff" + b"x" * 300_000,
}


@pytest.mark.parametrize("code", BAD)
async def test_an_invalid_query_gets_its_error_and_the_agent_continues(product: Product, code: str) -> None:
    async with product.client() as client:
        await client.connection.publish(product.topics.query, BAD[code], qos=1, response_topic=client.answers)
        reply = await client.reply()
    assert isinstance(reply, Refusal)
    assert reply.code == code
    assert ":" in reply.message, "the message says what is wrong, then what to do"
    assert await answering_tier(product, "local") == "local"


async def test_a_query_that_is_sent_twice_gets_the_same_reply_again(product: Product) -> None:
    image, question = jpeg()
    async with product.client() as client:
        first = await client.ask({"id": "twice", "question": question}, image)
        again = await client.ask({"id": "twice", "question": question}, image)
        other = await client.ask({"id": "twice", "question": f"{question} And where?"}, image)
    assert isinstance(first, Answer)
    assert again == replace(first, resent=True)
    assert isinstance(other, Refusal)
    assert other.code == "id_reused"


async def test_a_question_sent_while_the_agent_is_down_is_answered_after_its_restart(
    product: Product,
) -> None:
    """The broker keeps the session of a killed agent and publishes its will."""
    image, question = jpeg()
    product.services["agent"].kill()
    async with product.client() as client:
        while (await client.receive(product.topics.status)).payload != b"offline":
            pass
        fields = {"id": "late", "question": question}
        query = product.topics.query
        await client.connection.publish(query, image, qos=1, response_topic=client.answers, user=fields)
        product.start("agent").wait_ready(TIMEOUT_S, lambda _status: None)
        assert (await client.reply()).id == "late"


async def test_a_stopped_agent_publishes_offline_and_saves_what_it_learned(product: Product) -> None:
    assert product.services["agent"].stop() == 0
    async with product.client() as client:
        while (await client.receive(product.topics.status)).payload != b"offline":
            pass
    assert (product.folder / "learned.json").exists()
    product.start("agent").wait_ready(TIMEOUT_S, lambda _status: None)
    assert await answering_tier(product, "local") == "local"


def test_the_agent_loads_no_model_library(product: Product) -> None:
    maps = Path(f"/proc/{product.services['agent'].pid}/maps").read_text()
    assert "numpy" in maps
    assert "libtorch" not in maps


def test_the_command_line_asks_a_question_and_shows_the_status(product: Product, tmp_path: Path) -> None:
    image, question = jpeg()
    (tmp_path / "shot.jpg").write_bytes(image)
    tool = Path(sys.executable).with_name("inarvl")
    config = ["--config", str(product.config)]
    asked = subprocess.run(
        [tool, "ask", str(tmp_path / "shot.jpg"), question, *config],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip()
    shown = subprocess.run([tool, "status", *config], capture_output=True, text=True, check=True)
    assert "online" in shown.stdout
    assert "board" in shown.stdout


def test_discover_lists_the_peer(product: Product) -> None:
    tool = Path(sys.executable).with_name("inarvl")
    environment = dict(os.environ, COLUMNS="200")
    give_up, listed = time.monotonic() + TIMEOUT_S, ""
    while product.peer not in listed and time.monotonic() < give_up:
        found = subprocess.run(
            [tool, "discover", "--seconds", "2"], capture_output=True, text=True, check=True, env=environment
        )
        listed = found.stdout
    assert product.peer in listed
