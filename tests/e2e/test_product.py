"""What a user sees of the whole product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.messages.query import Query
from agent.messages.reply import Answer, Refusal
from product import Product, jpeg

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
PATIENCE_S = 60.0


async def tier_of(product: Product, pin: str | None = None) -> str:
    """Which tier answers a question now; the error's code when none does."""
    image, question = jpeg()
    fields = {"question": question} | ({"pin": pin} if pin else {})
    async with product.client() as client:
        reply = await client.ask(fields, image)
    return reply.tier if isinstance(reply, Answer) else reply.code


async def until_cloud_answers(product: Product) -> None:
    with anyio.fail_after(PATIENCE_S):
        while await tier_of(product, "cloud") != "cloud":  # noqa: ASYNC110 # each turn asks anew
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
            sources = {"cloud": {"modelled"}, "local": {"measured", "modelled"}}  # by this machine's sensors
            assert reply.energy_source in sources[pin]


async def test_a_peer_that_dies_is_done_without_and_comes_back(product: Product) -> None:
    await until_cloud_answers(product)
    product.services["cloud"].kill()
    assert [await tier_of(product) for _ in range(5)] == ["local"] * 5
    assert await tier_of(product, "cloud") == "no_arm"
    product.start("cloud").wait_ready(PATIENCE_S, lambda _status: None)
    await until_cloud_answers(product)
    assert await tier_of(product, "local") == "local"


async def test_the_mode_decides_and_outlives_the_agent(product: Product) -> None:
    await until_cloud_answers(product)
    try:
        async with product.client() as client:
            for mode, tier in (("local", "local"), ("cloud", "cloud")):
                await client.link.publish(product.topics.mode_set, mode.encode(), qos=1)
                assert await tier_of(product) == tier
        product.services["agent"].kill()
        product.start("agent").wait_ready(PATIENCE_S, lambda _status: None)
        assert await tier_of(product) == "cloud"
    finally:
        async with product.client() as client:
            await client.link.publish(product.topics.mode_set, b"auto", qos=1)


async def test_an_mqtt_3_client_is_answered_through_the_json_mirror(product: Product) -> None:
    image, question = jpeg()
    async with product.client(protocol="3.1.1") as client:
        query = Query("7", question, image, response_topic=client.answers, correlation="c-7")
        await client.link.publish(product.topics.query, query.to_bytes(), qos=1)
        reply = await client.reply()
    assert isinstance(reply, Answer)
    assert (reply.id, reply.correlation) == ("7", "c-7")


async def test_correlation_data_comes_back(product: Product) -> None:
    image, question = jpeg()
    async with product.client() as client:
        await client.link.publish(
            product.topics.query,
            image,
            qos=1,
            response_topic=client.answers,
            correlation=b"\x00\x01",
            user={"question": question},
        )
        assert (await client.receive(client.answers)).correlation == b"\x00\x01"


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto-clients is not installed")
def test_mosquitto_pub_gets_its_answer(product: Product, tmp_path: Path) -> None:
    image, question = jpeg()
    (tmp_path / "shot.jpg").write_bytes(image)
    broker = ["-p", str(product.port), "-V", "5"]
    subscriber = subprocess.Popen(
        ["mosquitto_sub", *broker, "-t", "lab/answers", "-C", "1", "-W", "60"],
        stdout=subprocess.PIPE,
        text=True,
    )
    publish = ["mosquitto_pub", *broker, "-t", product.topics.query, "-q", "1"]
    publish += ["-f", str(tmp_path / "shot.jpg"), "-D", "publish", "response-topic", "lab/answers"]
    publish += ["-D", "publish", "user-property", "question", question]
    answer = ""
    while not answer and subscriber.poll() is None:  # its subscription may not stand yet
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
async def test_bad_input_is_told_what_to_do_and_the_agent_goes_on(product: Product, code: str) -> None:
    async with product.client() as client:
        await client.link.publish(product.topics.query, BAD[code], qos=1, response_topic=client.answers)
        reply = await client.reply()
    assert isinstance(reply, Refusal)
    assert reply.code == code
    assert ":" in reply.message, "what is wrong, then what to do"
    assert await tier_of(product, "local") == "local"


async def test_a_query_sent_twice_is_answered_once(product: Product) -> None:
    image, question = jpeg()
    async with product.client() as client:
        first = await client.ask({"id": "twice", "question": question}, image)
        await client.link.publish(
            product.topics.query,
            image,
            qos=1,
            response_topic=client.answers,
            user={"id": "twice", "question": question},
        )
        after = await client.ask({"id": "after", "question": question}, image)
    assert (first.id, after.id) == ("twice", "after")


async def test_what_was_asked_while_the_agent_was_dead_is_answered(product: Product) -> None:
    """The broker keeps the session of an agent that was killed; the will tells of its death meanwhile."""
    image, question = jpeg()
    product.services["agent"].kill()
    async with product.client() as client:
        while (await client.receive(product.topics.status)).payload != b"offline":
            pass
        fields = {"id": "late", "question": question}
        query = product.topics.query
        await client.link.publish(query, image, qos=1, response_topic=client.answers, user=fields)
        product.start("agent").wait_ready(PATIENCE_S, lambda _status: None)
        assert (await client.reply()).id == "late"


async def test_a_stopped_agent_says_offline_and_keeps_what_it_learned(product: Product) -> None:
    assert product.services["agent"].stop() == 0
    async with product.client() as client:
        while (await client.receive(product.topics.status)).payload != b"offline":
            pass
    assert (product.folder / "learned.json").exists()
    product.start("agent").wait_ready(PATIENCE_S, lambda _status: None)
    assert await tier_of(product, "local") == "local"


def test_the_agent_holds_no_model_library(product: Product) -> None:
    maps = Path(f"/proc/{product.services['agent'].pid}/maps").read_text()
    assert "numpy" in maps
    assert "libtorch" not in maps


def test_the_command_line_asks_and_shows_the_status(product: Product, tmp_path: Path) -> None:
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


def test_discover_finds_the_peer(product: Product) -> None:
    tool = Path(sys.executable).with_name("inarvl")
    environment = dict(os.environ, COLUMNS="200")
    found = subprocess.run(
        [tool, "discover", "--seconds", "5"], capture_output=True, text=True, check=True, env=environment
    )
    assert product.peer in found.stdout
