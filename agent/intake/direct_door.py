"""Receives queries without the spool: the caller waits for the reply.

1. A query is subject to the same limits, queue and fair shares as one that arrives over MQTT.
2. Nothing is stored. If the process ends, the query is gone, and its sender asks again.
3. If the caller is cancelled, the query is withdrawn, if no worker has it yet; else its reply is dropped.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import anyio

from agent.intake.intake import Intake, TimeLimit
from agent.intake.request import Request
from agent.messages.explanation import AnyReply, Explanation
from agent.messages.query import BadQuery, Query
from agent.messages.reply import Refusal, Reply
from inarvl.errors import InarvlError

RESERVE_S, MAX_RESERVED = 0.05, 0.25  # of the deadline, so that the reply arrives before the caller gives up


class DirectDoor:
    """Submits queries and returns their replies.

    Args:
        clock: monotonic time in seconds.
        wall_clock: seconds since 1970.
    """

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

    async def ask(
        self, query: Query, *, verified: bool, sender: str = "", arrived_at: float | None = None
    ) -> Reply:
        """Returns the answer to `query`, or the refusal of the queue or of a worker.

        Args:
            verified: the caller knows that `query.client` asks; otherwise the name is only a claim.
            sender: distinguishes those that claim no name, such as an address.
            arrived_at: seconds on the clock; None for now.

        Raises:
            BadQuery, TooOften, Shed: it was refused before it was queued.
        """
        try:
            reply = await self._ask(query, verified, sender, arrived_at)
        except InarvlError as error:
            self._intake.replied(Refusal.of(error, query_id=query.id))
            raise
        self._intake.replied(reply)
        return reply

    async def _ask(self, query: Query, verified: bool, sender: str, arrived_at: float | None) -> Reply:
        question = DirectQuestion(query, verified=verified, sender=sender)
        self._check(query)
        limit = self._intake.time_limit(query, now_s=self._wall_clock())
        request = question.request(self._clock() if arrived_at is None else arrived_at, limit)
        self._intake.admit(query.client, verified=verified, request=request)
        await self._intake.submit(request)
        try:
            return await question.replied()
        finally:
            self._intake.withdraw(request)

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
        left_s = limit.left_ms / 1e3
        return Request(
            key=f"direct {uuid.uuid4().hex}",
            query=self._query,
            reply=self._receive,
            arrived_at=now,
            expires_at=now + left_s,
            reserve_s=min(RESERVE_S, MAX_RESERVED * left_s),
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

    async def _receive(self, reply: AnyReply) -> None:
        assert not isinstance(reply, Explanation), "no query of this door is a dry run"
        self._reply = reply
        self._replied.set()
