"""A rogue on the real broker gets no image, no question and no key from the running agent."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import anyio
import pytest
import yaml
from directory_rig import lan_address

from agent.messages.reply import Answer
from agent.standalone.broker import free_port
from cloud.peer import TOPIC
from lab.rig.hostile.recorder import Recorder
from product import Client, Product, jpeg, running_product

pytestmark = pytest.mark.anyio
QUESTIONS = 12


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """An agent whose site file names `gpu` with a key, and that trusts nobody else."""
    folder = tmp_path_factory.mktemp("rogue")
    (folder / "gpu.key").write_text("secret-key")
    peer = {
        "id": "gpu",
        "url": f"http://127.0.0.1:{free_port()}",
        "api_key_file": str(folder / "gpu.key"),
    }
    trust = {"zeroconf": False, "trust": "none"}
    with running_product(folder, models=("mock",), peers=[peer], discovery=trust) as running:
        yield running


async def retain(client: Client, peer_id: str, payload: bytes) -> None:
    await client.connection.publish(f"{TOPIC}/{peer_id}", payload, qos=1, retain=True)


def record(peer_id: str, url: str) -> bytes:
    return json.dumps({"id": peer_id, "url": url, "models": ["zzz-model"]}).encode()


async def answers(client: Client, prefix: str) -> list[object]:
    """Asks the cloud; returns the answers and what went wrong."""
    image, question = jpeg()
    found: list[object] = []
    for number in range(QUESTIONS):
        fields = {"question": question, "pin": "cloud", "id": f"{prefix}{number}"}
        reply = await client.ask(fields, image)
        found.append(reply.answer if isinstance(reply, Answer) else reply)
    return found


async def state(client: Client, topic: str, server: str, name: str) -> dict[str, object]:
    """Waits for the event that a server has a state."""
    while True:
        event = json.loads((await client.receive(topic)).payload)
        if (event.get("server"), event.get("state")) == (server, name):
            return dict(event)


async def test_a_rogue_with_the_id_of_a_configured_peer_or_a_new_one_gets_nothing(product: Product) -> None:
    port = int(product.site["peers"][0]["url"].rpartition(":")[2])
    host, events = lan_address(), product.topics.event
    real, rogue = Recorder(said="from gpu"), Recorder(said="a lie", name="zzz-model")
    async with (
        real.running("127.0.0.1", port),
        rogue.running(host),
        product.client() as client,
        product.client(also=events) as observer,
    ):
        await state(observer, events, "gpu", "healthy")
        url = f"http://{host}:{rogue.port}"
        await retain(client, "gpu", record("gpu", url))
        await retain(client, "rogue", record("rogue", url))
        event = await state(observer, events, "rogue", "untrusted")
        assert "inarvl peer trust rogue" in str(event["message"])
        assert await answers(client, "during") == ["from gpu"] * QUESTIONS
        for name in ("gpu", "rogue"):
            await retain(client, name, b"")
        await state(observer, events, "rogue", "gone")
        assert await answers(client, "after") == ["from gpu"] * QUESTIONS
        await rotate_key(product, observer)
        await retain(client, "gpu", record("gpu", url))
        assert await answers(client, "rotated") == ["from gpu"] * QUESTIONS
        await retain(client, "gpu", b"")
    assert real.images >= 3 * QUESTIONS
    assert b"Bearer rotated-key" in real.received
    assert (rogue.connections, rogue.received, rogue.keys) == (0, b"", 0)


async def rotate_key(product: Product, observer: Client) -> None:
    """Replaces the content of the key file, and has the agent read the site file again."""
    await anyio.Path(product.folder / "gpu.key").write_text("rotated-key")
    os.kill(product.services["agent"].pid, signal.SIGHUP)
    await state(observer, product.topics.event, "gpu", "healthy")


async def test_a_rogue_that_came_first_is_replaced_when_its_id_is_configured(product: Product) -> None:
    """Everybody is trusted here until the site file names the peer."""
    events = product.topics.event
    site = yaml.safe_load(product.config.read_text())
    real, rogue = Recorder(said="from late"), Recorder(said="a lie")
    async with (
        real.running(),
        rogue.running(),
        product.client() as client,
        product.client(also=events) as observer,
    ):
        site["peers"], site["discovery"]["trust"] = [], "any"
        product.config.write_text(yaml.safe_dump(site))
        os.kill(product.services["agent"].pid, signal.SIGHUP)
        await state(observer, events, "gpu", "gone")
        await retain(client, "late", record("late", f"http://127.0.0.1:{rogue.port}"))
        await state(observer, events, "late", "healthy")
        key = str(product.folder / "gpu.key")
        site["peers"] = [{"id": "late", "url": f"http://127.0.0.1:{real.port}", "api_key_file": key}]
        product.config.write_text(yaml.safe_dump(site))
        os.kill(product.services["agent"].pid, signal.SIGHUP)
        await state(observer, events, "late", "healthy")
        questions = rogue.questions
        assert await answers(client, "late") == ["from late"] * QUESTIONS
        await retain(client, "late", b"")
        await anyio.sleep(0.2)
        assert await answers(client, "alone") == ["from late"] * QUESTIONS
    assert real.keys
    assert (rogue.questions, rogue.keys) == (questions, 0)
