"""Receives queries from inside the process, without the spool: the caller waits for the reply.

1. A query is subject to the same limits, queue and fair shares as one that arrives over MQTT.
2. Nothing is stored. If the process ends, the query is gone, and its sender asks again.
3. Each query has exactly one reply. A refusal is a reply, not an exception.
4. If the caller is cancelled, the query stays in the queue, and its reply is dropped.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import anyio

from agent.intake.intake import Intake, TimeLimit
from agent.intake.request import Request
from agent.messages.query import BadQuery, Query
from agent.messages.reply import Refusal, Reply
from inarvl.errors import InarvlError


class DirectDoor:
    """Submits queries and returns their replies."""

    def __init__(
        self,
        intake: Intake,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._intake = intake
        self._clock = clock
        self._wall_clock = wall_clock

    async def ask(self, query: Query, *, verified: bool, sender: str = "") -> Reply:
        """Returns the answer to `query`, or the reason why there is none.

        Args:
            verified: the caller knows that `query.client` asks; otherwise the name is only a claim.
            sender: distinguishes those that claim no name, such as an address.
        """
        question = DirectQuestion(query, verified=verified, sender=sender)
        try:
            self._check(query)
            limit = self._intake.time_limit(query, now_s=self._wall_clock())
            request = question.request(self._clock(), limit)
            self._intake.admit(query.client, verified=verified, request=request)
        except InarvlError as error:
            return Refusal.of(error, query_id=query.id)
        await self._intake.submit(request)
        return await question.replied()

    def _check(self, query: Query) -> None:
        if len(query.sources) > self._intake.max_images:
            raise BadQuery(
                "too_many_images",
                f"the query has {len(query.sources)} images, and this agent accepts "
                f"{self._intake.max_images}: send fewer, or raise intake.max_images",
            )
        size = sum(len(source) for source in query.sources if isinstance(source, bytes))
        if size > self._intake.max_payload_bytes:
            raise BadQuery(
                "too_large",
                f"the images have over {self._intake.max_payload_bytes} bytes together: send smaller ones, "
                "or raise intake.max_payload_bytes",
            )


class DirectQuestion:
    """A query whose sender waits for the reply."""

    def __init__(self, query: Query, *, verified: bool, sender: str = "") -> None:
        self._query = query
        self._verified = verified
        self._sender = sender
        self._reply: Reply | None = None
        self._replied = anyio.Event()

    def request(self, now: float, limit: TimeLimit) -> Request:
        """Returns the request for the queue.

        Args:
            now: seconds on the monotonic clock.

        Raises:
            BadQuery: the time for an answer is over.
        """
        if limit.left_ms <= 0:
            raise BadQuery("deadline_expired", "its time is over: ask again, or allow more deadline_ms")
        return Request(
            key=f"direct {uuid.uuid4().hex}",
            query=self._query,
            reply=self._receive,
            arrived_at=now,
            expires_at=now + limit.left_ms / 1e3,
            allowed_s=limit.allowed_ms / 1e3,
            query_id=self._query.id,
            correlation=self._query.correlation,
            verified=self._verified,
            reply_to=self._sender,
        )

    async def replied(self) -> Reply:
        """Waits for the reply and returns it."""
        await self._replied.wait()
        assert self._reply is not None
        return self._reply

    async def _receive(self, reply: Reply) -> None:
        self._reply = reply
        self._replied.set()
