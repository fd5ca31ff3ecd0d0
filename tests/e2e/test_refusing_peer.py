"""A peer that refuses the agent rests until a reload; an event, the status and the doctor have the reason.

The peer is a script, and the board's server is a mock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from agent.messages.reply import Refusal
from cloud.peer import TOPIC, PeerRecord
from lab.rig.hostile.cases import CASES
from lab.rig.hostile.server import HostileServer
from product import Client, Product, jpeg, running_product

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PEER = "no-credit"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder, alone = tmp_path_factory.mktemp("refusing"), {"zeroconf": False}
    with running_product(folder, models=("mock",), discovery=alone) as running:
        yield running


async def state(client: Client, topic: str, name: str) -> str:
    """Waits for the event that the peer has a state, and returns the event's message."""
    while True:
        event = json.loads((await client.receive(topic)).payload)
        if (event.get("server"), event.get("state")) == (PEER, name):
            return str(event.get("message"))


def printed(product: Product, command: str) -> str:
    tool = str(Path(sys.executable).with_name("inarvl"))
    environment = {**os.environ, "COLUMNS": "250"}
    ran = subprocess.run(
        [tool, command, "--config", str(product.config)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    return ran.stdout


async def test_a_peer_without_credit_rests_until_a_reload(product: Product) -> None:
    server, events = HostileServer(CASES), product.topics.event
    async with server.running(), product.client() as client, product.client(also=events) as observer:
        record = PeerRecord(PEER, server.url(PEER))
        await client.connection.publish(f"{TOPIC}/{PEER}", record.to_bytes(), qos=1, retain=True)
        await state(observer, events, "healthy")
        image, question = jpeg()
        reply = await client.ask({"question": question, "pin": "cloud"}, image)
        assert isinstance(reply, Refusal)
        assert (reply.code, "pay first" in reply.message) == ("unanswered", True)
        for number in range(20):
            reply = await client.ask({"question": question, "pin": "cloud", "id": f"q{number}"}, image)
            assert isinstance(reply, Refusal)
            assert reply.code == "no_arm"
            assert "pay first" in reply.message
        assert "pay first" in await state(observer, events, "refused")
        reply = await client.ask({"question": question}, image)
        assert not isinstance(reply, Refusal)
        assert server.asked[PEER] == 1, "no image is sent during the rest"
        for command in ("status", "doctor"):
            assert "pay first" in await anyio.to_thread.run_sync(printed, product, command)
        os.kill(product.services["agent"].pid, signal.SIGHUP)
        reply = await client.ask({"question": question, "pin": "cloud", "id": "after"}, image)
        while isinstance(reply, Refusal) and reply.code == "no_arm":  # until the check after the reload
            reply = await client.ask({"question": question, "pin": "cloud"}, image)
        assert isinstance(reply, Refusal)
        assert reply.code == "unanswered"
        assert server.asked[PEER] == 2
        await client.connection.publish(f"{TOPIC}/{PEER}", b"", qos=1, retain=True)
