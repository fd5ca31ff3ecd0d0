"""Routes incoming MQTT messages by topic.

Queries are received in parallel, so that they share the spool's commits. At most MAX_PARALLEL are received at
the same time; queries with QoS 1 are also limited by the receive maximum.
"""

from __future__ import annotations

import anyio

from agent.answering.feedback import Feedback
from agent.daemon.mode import ModeSwitch
from agent.intake.mqtt_door import MqttDoor
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.topics import Topics
from agent.peers.directory import ServerDirectory
from cloud.peer import TOPIC as PEERS
from inarvl.door import Door

MAX_PARALLEL = 64


class MessageRouter:
    """Passes each message to the part that handles its topic."""

    def __init__(
        self,
        topics: Topics,
        mqtt: MqttConnection,
        *,
        door: MqttDoor,
        commands: Door,
        mode: ModeSwitch,
        feedback: Feedback,
        servers: ServerDirectory,
    ) -> None:
        self._topics = topics
        self._mqtt = mqtt
        self._door = door
        self._commands = commands
        self._mode = mode
        self._feedback = feedback
        self._servers = servers

    async def run(self) -> None:
        """Routes messages until cancelled."""
        receiving = anyio.Semaphore(MAX_PARALLEL)

        async def receive_query(message: Message) -> None:
            try:
                await self._door.receive(message)
            finally:
                receiving.release()

        async def receive_mode(message: Message) -> None:
            with self._commands.guard(message.topic):
                await self._mode.receive(message.payload)
            message.ack()

        async with anyio.create_task_group() as tasks:
            async for message in self._mqtt.messages():
                if message.topic == self._topics.query:
                    await receiving.acquire()
                    tasks.start_soon(receive_query, message)
                elif message.topic == self._topics.mode_set:
                    tasks.start_soon(receive_mode, message)
                else:
                    self._receive(message)
                    message.ack()

    def _receive(self, message: Message) -> None:
        if message.topic.startswith(f"{PEERS}/"):
            self._servers.receive_record(message.topic, message.payload)
        elif message.topic == self._topics.feedback:
            self._feedback.receive(message.payload)
        elif message.topic.startswith(self._topics.feedback_of("")):
            self._feedback.receive(message.payload, self._topics.client_of(message.topic))
