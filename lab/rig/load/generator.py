"""Sends questions at given times, whatever becomes of earlier ones, and keeps an account of every reply.

It begins when the agent is online: until the agent has subscribed for the first time, the broker takes
questions and drops them for want of a reader.

The load is open: a slow site gets no fewer questions for it, as a closed loop would give it.
"""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.messages.mqtt import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.reply import Answer, Reply, reply_from_bytes
from agent.messages.topics import Topics
from lab.errors import BenchError
from lab.scenes.question import ask
from lab.scenes.render import render
from lab.scenes.scene import draw

JPEG_QUALITY = 85
ONLINE_S = 60.0


@dataclass(frozen=True)
class Shape:
    """What is asked: Poisson arrivals at `rate` per second, each priority and deadline as likely."""

    rate: float
    deadlines_ms: Sequence[float] = (2000.0,)
    priorities: Sequence[int] = (4,)


@dataclass
class Sent:
    """One question. Times are monotonic seconds; `acked_at` is when the broker took it."""

    id: str
    sent_at: float
    deadline_ms: float
    priority: int
    acked_at: float | None = None
    replies: list[tuple[float, Reply]] = field(default_factory=list)

    @property
    def reply(self) -> Reply | None:
        """The first reply that came."""
        return self.replies[0][1] if self.replies else None

    @property
    def latency_ms(self) -> float | None:
        """From sending to the first reply, as the sender saw it."""
        return (self.replies[0][0] - self.sent_at) * 1e3 if self.replies else None

    @property
    def outcome(self) -> str:
        """`answer`, an error code, or `none`."""
        reply = self.reply
        return "none" if reply is None else "answer" if isinstance(reply, Answer) else reply.code

    @property
    def other_replies(self) -> int:
        """Replies that are not the first one again."""
        return sum(not _same(reply, self.replies[0][1]) for _, reply in self.replies[1:])

    @property
    def repeats(self) -> int:
        """Copies of the first reply, which MQTT's at-least-once delivery allows and a receiver drops."""
        return len(self.replies) - 1 - self.other_replies if self.replies else 0


class Caller:
    """One sender with a session of its own at the broker."""

    def __init__(self, host: str, port: int, topics: Topics, *, rng: np.random.Generator) -> None:
        self._name = f"caller-{uuid.uuid4().hex[:10]}"
        self._answers = f"load/{self._name}"
        self._link = MqttConnection(
            MqttOptions(host, port, client_id=self._name, receive_maximum=1000),
            subscriptions=(self._answers, topics.status),
        )
        self._topics = topics
        self._rng = rng
        self._shots = list(_shots(rng, 8))
        self._open: dict[str, Sent] = {}
        self._agent_online = anyio.Event()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connect, and take replies meanwhile.

        Raises:
            BenchError: the agent does not come online.
        """
        async with self._link, anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive)
            with anyio.move_on_after(ONLINE_S):
                await self._agent_online.wait()
            if online := self._agent_online.is_set():
                yield
            tasks.cancel_scope.cancel()
        if not online:  # raised here, since a task group would wrap it
            raise BenchError("the agent has not come online: see its log")

    async def call(self, shape: Shape, *, seconds: float | None = None) -> AsyncIterator[Sent]:
        """Ask for `seconds` (for ever when None), giving each question as it is sent."""
        async with anyio.create_task_group() as tasks:
            started = due = time.monotonic()
            number = 0
            while seconds is None or due - started < seconds:
                due += self._rng.exponential(1 / shape.rate)
                await anyio.sleep(max(0.0, due - time.monotonic()))
                yield self._send(tasks, number, shape)
                number += 1

    def forget(self, sent: Sent) -> None:
        """Take no more replies for it."""
        self._open.pop(sent.id, None)

    def _send(self, tasks: TaskGroup, number: int, shape: Shape) -> Sent:
        sent = Sent(
            f"{self._name}-{number}-{uuid.uuid4().hex[:6]}",
            time.monotonic(),
            float(self._rng.choice(shape.deadlines_ms)),
            int(self._rng.choice(shape.priorities)),
        )
        self._open[sent.id] = sent
        tasks.start_soon(self._publish, sent, *self._shots[number % len(self._shots)])
        return sent

    async def _publish(self, sent: Sent, question: str, image: bytes) -> None:
        fields = {
            "id": sent.id,
            "question": question,
            "deadline_ms": f"{sent.deadline_ms}",
            "priority": f"{sent.priority}",
        }
        await self._link.publish(self._topics.query, image, qos=1, response_topic=self._answers, user=fields)
        sent.acked_at = time.monotonic()

    async def _receive(self) -> None:
        async for message in self._link.messages():
            message.ack()
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.topic == self._topics.status:
            if message.payload == b"online":
                self._agent_online.set()
            return
        reply = reply_from_bytes(message.payload)
        sent = self._open.get(reply.id or "")
        if sent is not None:
            sent.replies.append((time.monotonic(), reply))


def _same(one: Reply, other: Reply) -> bool:
    """Whether two replies are the same but for the mark that one was sent again."""
    return {**vars(one), "resent": None} == {**vars(other), "resent": None}


def _shots(rng: np.random.Generator, count: int) -> Iterator[tuple[str, bytes]]:
    for _ in range(count):
        scene = draw(rng)
        file = io.BytesIO()
        render(scene).save(file, "JPEG", quality=JPEG_QUALITY)
        yield ask(scene, rng, 1)[0].text, file.getvalue()
