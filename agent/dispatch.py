"""Every message that arrives, to whom it concerns.

Queries are taken in side by side, so that they share the spool's commits. How many that are is bounded by the
broker's receive maximum for QoS 1, and by AT_ONCE for the rest.
"""

from __future__ import annotations

import logging
from typing import get_args

import anyio

from agent.answering import Answering
from agent.discovery import records
from agent.feedback import Feedback
from agent.intake import Intake
from agent.mqtt import Message, MqttLink
from agent.peers import Peers
from agent.topics import PEERS, Topics
from controller.context import Mode

log = logging.getLogger(__name__)

AT_ONCE = 64


class Dispatch:
    """Routes messages by their topic."""

    def __init__(
        self,
        topics: Topics,
        link: MqttLink,
        *,
        intake: Intake,
        answering: Answering,
        feedback: Feedback,
        cloud: Peers,
    ) -> None:
        self._topics = topics
        self._link = link
        self._intake = intake
        self._answering = answering
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

        async with anyio.create_task_group() as tasks:
            async for message in self._link.messages():
                if message.topic == self._topics.query:
                    await room.acquire()
                    tasks.start_soon(take_in, message)
                else:
                    self._take(message)
                    message.ack()

    def _take(self, message: Message) -> None:
        if message.topic.startswith(f"{PEERS}/"):
            records.take(self._cloud, message.topic, message.payload)
        elif message.topic == self._topics.mode_set:
            self._set_mode(message.payload.decode(errors="replace").strip())
        elif message.topic == self._topics.feedback:
            self._feedback.take(message.payload)

    def _set_mode(self, wanted: str) -> None:
        for mode in get_args(Mode):
            if mode == wanted:
                self._answering.mode = mode
                self._link.post(self._topics.mode_state, mode, retain=True)
                self._link.post(self._topics.event, {"event": "mode", "mode": mode})
                return
        message = f"mode {wanted[:40]!r} is not known: use {', '.join(get_args(Mode))}"
        log.warning("%s", message)
        self._link.post(self._topics.event, {"event": "error", "code": "bad_mode", "message": message})
