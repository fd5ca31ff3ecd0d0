"""Every message that arrives, to whom it concerns.

Queries are taken in side by side, so that they share the spool's commits. How many that are is bounded by the
broker's receive maximum for QoS 1, and by AT_ONCE for the rest.
"""

from __future__ import annotations

import anyio

from agent.answering.feedback import Feedback
from agent.daemon.mode import ModeSwitch
from agent.intake.intake import Intake
from agent.messages.mqtt import Message, MqttConnection
from agent.messages.topics import PEERS, Topics
from agent.peers import mqtt_records as records
from agent.peers.registry import PeerRegistry

AT_ONCE = 64


class Router:
    """Routes messages by their topic."""

    def __init__(
        self,
        topics: Topics,
        link: MqttConnection,
        *,
        intake: Intake,
        mode: ModeSwitch,
        feedback: Feedback,
        cloud: PeerRegistry,
    ) -> None:
        self._topics = topics
        self._link = link
        self._intake = intake
        self._mode = mode
        self._feedback = feedback
        self._cloud = cloud

    async def run(self) -> None:
        """Take messages for ever."""
        room = anyio.Semaphore(AT_ONCE)

        async def take_in(query: Message) -> None:
            try:
                await self._intake.accept(query)
            finally:
                room.release()

        async def take_mode(message: Message) -> None:
            await self._mode.take(message.payload)
            message.ack()

        async with anyio.create_task_group() as tasks:
            async for message in self._link.messages():
                if message.topic == self._topics.query:
                    await room.acquire()
                    tasks.start_soon(take_in, message)
                elif message.topic == self._topics.mode_set:
                    tasks.start_soon(take_mode, message)
                else:
                    self._take(message)
                    message.ack()

    def _take(self, message: Message) -> None:
        if message.topic.startswith(f"{PEERS}/"):
            records.take(self._cloud, message.topic, message.payload)
        elif message.topic == self._topics.feedback:
            self._feedback.take(message.payload)
