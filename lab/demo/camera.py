"""A camera that asks about drawn scenes, and knows the truth."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import numpy as np

from agent.answering.normalise import normalise
from agent.messages.mqtt import MqttConnection
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
class Shot:
    """One question as it was asked, with the camera's fault."""

    id: str
    question: Question
    fault: str


@dataclass(frozen=True)
class Seen:
    """A shot with the reply to it."""

    shot: Shot
    reply: Reply

    @property
    def right(self) -> bool:
        """Whether the answer is the truth."""
        return isinstance(self.reply, Answer) and normalise(self.reply.answer) == normalise(
            self.shot.question.answer
        )


class Camera:
    """Publishes questions in both payload forms, one after another, and collects the replies."""

    def __init__(self, port: int, device: str, *, rng: np.random.Generator) -> None:
        self._topics = Topics(device)
        self._name = f"camera-{uuid.uuid4().hex[:8]}"
        self._answers = f"demo/{self._name}/answers"
        self._link = MqttConnection(
            MqttOptions("127.0.0.1", port, client_id=self._name), subscriptions=(self._answers,)
        )
        self._rng = rng
        self._asked: dict[str, Shot] = {}

    async def ask(self, every_s: float, count: int | None) -> AsyncIterator[Seen]:
        """Ask `count` questions (for ever when None) and give each reply as it comes."""
        async with self._link, anyio.create_task_group() as tasks:
            await self._link.connected.wait()
            tasks.start_soon(self._shoot, every_s, count)
            answered = 0
            async for message in self._link.messages():
                message.ack()
                reply = reply_from_bytes(message.payload)
                shot = self._asked.pop(reply.id or "", None)
                if shot is None:
                    continue
                seen = Seen(shot, reply)
                self._tell_truth(seen)
                yield seen
                answered += 1
                if answered == count:
                    break
            tasks.cancel_scope.cancel()

    def _tell_truth(self, seen: Seen) -> None:
        if isinstance(seen.reply, Answer):
            truth = {"decision_id": seen.reply.decision_id, "correct": seen.right}
            self._link.post(self._topics.feedback, truth)

    async def _shoot(self, every_s: float, count: int | None) -> None:
        taken = 0
        while count is None or taken < count:
            scene = draw(self._rng)
            (question,) = ask(scene, self._rng, 1)
            shot = Shot(f"q{taken}", question, scene.fault)
            self._asked[shot.id] = shot
            jpeg = io.BytesIO()
            render(scene).save(jpeg, "JPEG", quality=JPEG_QUALITY)
            await self._publish(shot, jpeg.getvalue(), raw=taken % 2 == 1)
            taken += 1
            await anyio.sleep(every_s)

    async def _publish(self, shot: Shot, jpeg: bytes, *, raw: bool) -> None:
        fields = {"id": shot.id, "question": shot.question.text, "deadline_ms": str(DEADLINE_MS)}
        if raw:
            await self._link.publish(
                self._topics.query, jpeg, qos=1, response_topic=self._answers, user=fields
            )
            return
        query = Query(
            shot.id, shot.question.text, jpeg, deadline_ms=DEADLINE_MS, response_topic=self._answers
        )
        await self._link.publish(self._topics.query, query.to_bytes(), qos=1)
