"""A camera that asks questions about drawn scenes, whose correct answers are known."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import numpy as np

from agent.answering.normalise import normalise
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.query import Query
from agent.messages.reply import Answer, Reply, reply_from_bytes
from agent.messages.topics import Topics
from lab.scenes.question import Question, ask
from lab.scenes.render import render
from lab.scenes.scene import draw

JPEG_QUALITY = 92
DEADLINE_MS = 20_000


@dataclass(frozen=True)
class AskedQuestion:
    """A question that was sent, and the camera's fault in its image."""

    id: str
    question: Question
    fault: str


@dataclass(frozen=True)
class Exchange:
    """A question and its reply."""

    asked: AskedQuestion
    reply: Reply

    @property
    def correct(self) -> bool:
        """Whether the reply is the correct answer."""
        return isinstance(self.reply, Answer) and normalise(self.reply.answer) == normalise(
            self.asked.question.answer
        )


class Camera:
    """Sends queries over MQTT, alternately as JSON and as raw JPEG, and receives their replies."""

    def __init__(self, port: int, device: str, *, rng: np.random.Generator) -> None:
        self._topics = Topics(device)
        self._name = f"camera-{uuid.uuid4().hex[:8]}"
        self._reply_topic = self._topics.result(self._name)
        self._mqtt = MqttConnection(
            MqttOptions("127.0.0.1", port, client_id=self._name),
            subscriptions=(self._reply_topic, self._topics.status),
        )
        self._agent_online = anyio.Event()
        self._rng = rng
        self._open: dict[str, AskedQuestion] = {}

    async def ask(self, every_s: float, count: int | None) -> AsyncIterator[Exchange]:
        """Asks `count` questions, or without end if None, and yields each with its reply."""
        async with self._mqtt, anyio.create_task_group() as tasks:
            tasks.start_soon(self._send, every_s, count)
            received = 0
            async for message in self._mqtt.messages():
                message.ack()
                if message.topic == self._topics.status:
                    if message.payload == b"online":
                        self._agent_online.set()
                    continue
                reply = reply_from_bytes(message.payload)
                asked = self._open.pop(reply.id or "", None)
                if asked is None:
                    continue
                exchange = Exchange(asked, reply)
                self._send_feedback(exchange)
                yield exchange
                received += 1
                if received == count:
                    break
            tasks.cancel_scope.cancel()

    def _send_feedback(self, exchange: Exchange) -> None:
        if isinstance(exchange.reply, Answer):
            feedback = {"decision_id": exchange.reply.decision_id, "correct": exchange.correct}
            self._mqtt.post(self._topics.feedback, feedback)

    async def _send(self, every_s: float, count: int | None) -> None:
        await self._agent_online.wait()  # until the agent has subscribed, the broker drops queries
        sent = 0
        while count is None or sent < count:
            scene = draw(self._rng)
            (question,) = ask(scene, self._rng, 1)
            asked = AskedQuestion(f"q{sent}", question, scene.fault)
            self._open[asked.id] = asked
            jpeg = io.BytesIO()
            render(scene).save(jpeg, "JPEG", quality=JPEG_QUALITY)
            await self._publish(asked, jpeg.getvalue(), raw=sent % 2 == 1)
            sent += 1
            await anyio.sleep(every_s)

    async def _publish(self, asked: AskedQuestion, jpeg: bytes, *, raw: bool) -> None:
        fields = {"id": asked.id, "question": asked.question.text, "deadline_ms": str(DEADLINE_MS)}
        if raw:
            await self._mqtt.publish(
                self._topics.query, jpeg, qos=1, response_topic=self._reply_topic, user=fields
            )
            return
        query = Query(
            asked.id, asked.question.text, jpeg, deadline_ms=DEADLINE_MS, response_topic=self._reply_topic
        )
        await self._mqtt.publish(self._topics.query, query.to_bytes(), qos=1)
