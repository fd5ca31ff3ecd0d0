"""An agent that answers every query with scripted replies, over a real broker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics


class ScriptedAgent:
    """Answers as the agent `d`.

    Attributes:
        reply: the fields of its next replies; the id is added.
        queries: what it was asked.
    """

    def __init__(self, port: int) -> None:
        self.reply: dict[str, Any] = {}
        self.queries: list[dict[str, Any]] = []
        self._port = port

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers until left."""
        topics = Topics("d")
        options = MqttOptions("127.0.0.1", self._port, "scripted-agent")
        async with (
            MqttConnection(options, live=(topics.query, topics.query_of("+"))) as connection,
            anyio.create_task_group() as tasks,
        ):
            await connection.connected.wait()
            tasks.start_soon(self._answer, connection)
            yield
            tasks.cancel_scope.cancel()

    async def _answer(self, connection: MqttConnection) -> None:
        async for message in connection.messages():
            message.ack()
            if message.response_topic is None:  # `inarvl doctor` tests the topic
                continue
            query = json.loads(message.payload)
            self.queries.append(query)
            payload = json.dumps({"id": query["id"], **self.reply}).encode()
            await connection.publish(message.response_topic, payload, qos=1)
