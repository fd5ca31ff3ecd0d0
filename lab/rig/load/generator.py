"""An open-loop load generator: it sends queries at given times and records every reply.

Open-loop means that it does not wait for replies, so that a slow deployment does not get fewer queries. It
starts when the agent is online: until the agent has subscribed for the first time, the broker drops
queries.
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

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.reply import Answer, Reply, reply_from_bytes
from agent.messages.topics import Topics
from lab.errors import BenchError
from lab.scenes.question import ask
from lab.scenes.render import render
from lab.scenes.scene import draw

JPEG_QUALITY = 85
IMAGES = 8
ONLINE_S = 120.0


@dataclass(frozen=True)
class Workload:
    """Poisson arrivals.

    Attributes:
        rate: Queries per second.
        deadlines_ms, priorities: One of each is drawn per query, all with the same probability.
        dated: The queries say when they were asked.
    """

    rate: float
    deadlines_ms: Sequence[float] = (2000.0,)
    priorities: Sequence[int] = (4,)
    dated: bool = False


@dataclass
class SentQuery:
    """A query and its replies.

    Attributes:
        sent_at: Monotonic seconds.
        acked_at: When the broker acknowledged it; None until then.
        replies: Each with its arrival, in monotonic seconds.
    """

    id: str
    sent_at: float
    deadline_ms: float
    priority: int
    acked_at: float | None = None
    replies: list[tuple[float, Reply]] = field(default_factory=list)

    @property
    def reply(self) -> Reply | None:
        """The first reply."""
        return self.replies[0][1] if self.replies else None

    @property
    def latency_ms(self) -> float | None:
        """Time from sending to the first reply, measured by the sender."""
        return (self.replies[0][0] - self.sent_at) * 1e3 if self.replies else None

    @property
    def outcome(self) -> str:
        """`answer`, an error code, or `none`."""
        reply = self.reply
        return "none" if reply is None else "answer" if isinstance(reply, Answer) else reply.code

    @property
    def different_replies(self) -> int:
        """How many later replies differ from the first."""
        return sum(not _same(reply, self.replies[0][1]) for _, reply in self.replies[1:])

    @property
    def repeats(self) -> int:
        """Copies of the first reply, which MQTT's at-least-once delivery allows."""
        return len(self.replies) - 1 - self.different_replies if self.replies else 0


class LoadGenerator:
    """One MQTT client that sends queries and receives their replies.

    Args:
        own_topic: It sends its queries on its own topic, not on the open one.
    """

    def __init__(
        self, host: str, port: int, topics: Topics, *, rng: np.random.Generator, own_topic: bool = False
    ) -> None:
        self._name = f"load-{uuid.uuid4().hex[:10]}"
        self._query_topic = topics.query_of(self._name) if own_topic else topics.query
        self._reply_topic = topics.result(self._name)
        self._mqtt = MqttConnection(
            MqttOptions(host, port, client_id=self._name, receive_maximum=1000),
            subscriptions=(self._reply_topic, topics.status),
        )
        self._topics = topics
        self._rng = rng
        self._images = list(_images(rng, IMAGES))
        self._open: dict[str, SentQuery] = {}
        self._agent_online = anyio.Event()
        self._first_reply = anyio.Event()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connects, and records replies until the context ends.

        Raises:
            BenchError: The agent is not online within ONLINE_S.
        """
        async with self._mqtt, anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive)
            with anyio.move_on_after(ONLINE_S):
                await self._agent_online.wait()
            if online := self._agent_online.is_set():
                yield
            tasks.cancel_scope.cancel()
        if not online:  # raised here, because a task group would wrap it
            raise BenchError("the agent is not online: see its log")

    async def send(self, workload: Workload, *, seconds: float | None = None) -> AsyncIterator[SentQuery]:
        """Sends queries for `seconds`, without end if None, and yields each when it is sent."""
        async with anyio.create_task_group() as tasks:
            started = due = time.monotonic()
            number = 0
            while seconds is None or due - started < seconds:
                due += self._rng.exponential(1 / workload.rate)
                await anyio.sleep(max(0.0, due - time.monotonic()))
                yield self._send(tasks, number, workload)
                number += 1

    async def wait_for_replies(self, queries: Sequence[SentQuery], *, silence_s: float) -> None:
        """Returns when every query has a reply, or when none got its first reply for `silence_s`.

        The limit is on silence and not on the whole time, so that a slow machine does not look like a lost
        reply.
        """
        while not all(query.replies for query in queries):
            with anyio.move_on_after(silence_s) as silence:
                await self._first_reply.wait()
            if silence.cancelled_caught:
                return

    def forget(self, query: SentQuery) -> None:
        """Ignores later replies to a query."""
        self._open.pop(query.id, None)

    def _send(self, tasks: TaskGroup, number: int, workload: Workload) -> SentQuery:
        query = SentQuery(
            f"{self._name}-{number}-{uuid.uuid4().hex[:6]}",
            time.monotonic(),
            float(self._rng.choice(workload.deadlines_ms)),
            int(self._rng.choice(workload.priorities)),
        )
        self._open[query.id] = query
        asked_at = {"asked_at": f"{time.time()}"} if workload.dated else {}
        tasks.start_soon(self._publish, query, *self._images[number % len(self._images)], asked_at)
        return query

    async def _publish(self, query: SentQuery, question: str, image: bytes, asked_at: dict[str, str]) -> None:
        fields = {
            "id": query.id,
            "question": question,
            "deadline_ms": f"{query.deadline_ms}",
            "priority": f"{query.priority}",
            **asked_at,
        }
        await self._mqtt.publish(
            self._query_topic, image, qos=1, response_topic=self._reply_topic, user=fields
        )
        query.acked_at = time.monotonic()

    async def _receive(self) -> None:
        async for message in self._mqtt.messages():
            message.ack()
            self._record(message)

    def _record(self, message: Message) -> None:
        if message.topic == self._topics.status:
            if message.payload == b"online":
                self._agent_online.set()
            return
        reply = reply_from_bytes(message.payload)
        query = self._open.get(reply.id or "")
        if query is not None:
            query.replies.append((time.monotonic(), reply))
            if len(query.replies) == 1:
                self._first_reply.set()
                self._first_reply = anyio.Event()


def _same(one: Reply, other: Reply) -> bool:
    """Returns whether two replies are equal except for `resent`."""
    return {**vars(one), "resent": None} == {**vars(other), "resent": None}


def _images(rng: np.random.Generator, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields questions, each with its image."""
    for _ in range(count):
        scene = draw(rng)
        file = io.BytesIO()
        render(scene).save(file, "JPEG", quality=JPEG_QUALITY)
        yield ask(scene, rng, 1)[0].text, file.getvalue()
