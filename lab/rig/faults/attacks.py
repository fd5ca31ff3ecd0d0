"""Inputs that must harm nothing but themselves, while other queries are answered."""

from __future__ import annotations

import io
import json
import socket
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import anyio
import psutil
from anyio import to_thread
from PIL import Image

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.query import Query
from lab.errors import BenchError
from lab.rig.deployment import TOPICS
from lab.rig.faults.injector import FaultInjector
from lab.rig.faults.poisoned_agent import POISON
from lab.rig.image_bombs import chunks_bomb, png_bomb, scans_bomb, segments_bomb

REPLY_S, CRASH_S = 120.0, 60.0
ROUNDS, PAUSE_S = 8, 1.0
CONNECTIONS = 1000
TOO_DEEP = "/".join([TOPICS.result(), *"a" * 202])  # mosquitto closes the connection above 200 slashes


@dataclass
class Attacker:
    """A client that sends queries and reads their replies."""

    mqtt: MqttConnection
    replies: str

    async def send(self, image: bytes, question: str) -> str:
        """Sends a query; returns its id when the broker has it."""
        query = Query(uuid.uuid4().hex, question, image, deadline_ms=60_000)
        await self.mqtt.publish(TOPICS.query, query.to_bytes(), qos=1, response_topic=self.replies)
        return query.id

    async def codes(self, ids: set[str]) -> dict[str, str]:
        """Waits for the replies; returns the error code of each, or `answer`.

        Raises:
            BenchError: not all arrive within REPLY_S.
        """
        found: dict[str, str] = {}
        with anyio.move_on_after(REPLY_S):
            async for message in self.mqtt.messages():
                message.ack()
                body: Mapping[str, Any] = json.loads(message.payload)
                found[body["id"]] = body.get("error", {}).get("code", "answer")
                if ids <= found.keys():
                    return found
        raise BenchError(f"{len(ids - found.keys())} attacking queries got no reply: see the agent's log")


@asynccontextmanager
async def attacking(injector: FaultInjector, *topics: str) -> AsyncIterator[Attacker]:
    """Connects an attacker to the broker."""
    layout, name = injector.deployment.layout, f"attacker-{uuid.uuid4().hex[:8]}"
    options = MqttOptions(layout.address, layout.broker_port, client_id=name)
    replies = TOPICS.result(name)
    async with MqttConnection(options, subscriptions=(replies, *topics)) as mqtt:
        await mqtt.connected.wait()
        yield Attacker(mqtt, replies)


async def image_bombs(injector: FaultInjector) -> None:
    """Sends small files that are large, slow or endless to decode, eight at once, eight times."""
    bombs = (
        *[png_bomb(4999)] * 3,
        png_bomb(9999),
        scans_bomb(4999, 60),
        scans_bomb(4999, 5000),
        segments_bomb(20_000),
        chunks_bomb(5_000),
    )
    async with attacking(injector) as attacker:
        ids = set()
        for _ in range(ROUNDS):
            ids |= {await attacker.send(bomb, "What is this?") for bomb in bombs}
            await anyio.sleep(PAUSE_S)
        await attacker.codes(ids)


async def poison_query(injector: FaultInjector) -> None:
    """Sends a query at which the agent is killed, and restarts the agent after each crash.

    Raises:
        BenchError: The agent does not crash twice and then set the query aside.
    """
    async with attacking(injector) as attacker:
        await anyio.sleep(3)
        poison = await attacker.send(_picture(), POISON)
        for _ in range(2):
            await _wait_crash(injector)
            await injector.restart("agent")
        codes = await attacker.codes({poison})
        if codes[poison] != "internal":
            raise BenchError(f"the query that kills the agent got {codes[poison]}")
    await anyio.sleep(5)


async def poison_reply(injector: FaultInjector) -> None:
    """Kills the agent and stores a reply at which the broker disconnects, as an earlier version could.

    Raises:
        BenchError: The agent does not set the reply aside.
    """
    await anyio.sleep(3)
    async with attacking(injector, TOPICS.result(), TOPICS.event) as attacker:
        injector.deployment.kill("agent")
        with closing(sqlite3.connect(injector.deployment.state / "spool.db")) as spool, spool:
            now_ms = int(time.time() * 1e3)
            spool.execute(
                "INSERT INTO query VALUES (NULL, ?, ?, ?, ?, NULL, x'', '{}', ?, 0)",
                ("poison", now_ms, now_ms + 60_000, TOO_DEEP, b'{"id": "poison", "answer": "yes"}'),
            )
        await injector.restart("agent")
        with anyio.move_on_after(REPLY_S):
            async for message in attacker.mqtt.messages():
                message.ack()
                if message.topic == TOPICS.result() and json.loads(message.payload)["id"] == "poison":
                    await anyio.sleep(5)
                    return
    raise BenchError("the agent has not set the reply aside: see its log")


async def idle_connections(injector: FaultInjector) -> None:
    """Opens CONNECTIONS idle connections to the board's model server, and keeps them open."""
    path = str(injector.deployment.folder / "edge.sock")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.setblocking(False)
            for _ in range(100):  # the server's backlog may be full
                try:
                    connection.connect(path)
                    break
                except BlockingIOError:
                    await anyio.sleep(0.01)
        await anyio.sleep(20)


async def _wait_crash(injector: FaultInjector) -> None:
    """Waits until the agent ends."""
    try:
        await to_thread.run_sync(injector.agent.wait, CRASH_S)
    except psutil.TimeoutExpired:
        raise BenchError("the query did not kill the agent") from None
    injector.deployment.kill("agent")  # ends the thread that reads its notifications


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    return file.getvalue()
