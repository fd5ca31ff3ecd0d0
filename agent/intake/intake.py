"""Queries on their way in: spooled, acknowledged to the broker, and handed on.

1. Each message becomes an entry of the spool, malformed ones too: what was acknowledged is answered.
2. Only then it is acknowledged, so that a crash before leaves it with the broker.
3. A second message with the same sender and id is acknowledged and dropped. Without an id, one is that the
   broker says it sends again, with the content and the packet number of one that is known: its first sending
   may have been in vain, and then it is a new one, whatever was asked before.
4. Time that passed while the agent was away is counted since the boot, which no clock change moves; over a
   reboot by the wall clock, and then nothing has more time than it came with.
5. A full or failing spool, and what is shed, is answered with an error at once, never with silence.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.intake.job import Job
from agent.intake.outbox import Outbox
from agent.intake.queue import RequestQueue
from agent.intake.uptime import Uptime
from agent.messages.address import Address
from agent.messages.mqtt import Message
from agent.messages.query import BadQuery, Query, read_payload
from agent.messages.reply import Refusal
from agent.messages.topics import Topics
from agent.spool.spool import Added, Spool, SpoolEntry
from inarvl.errors import InarvlError


@dataclass(frozen=True)
class IntakeLimits:
    """How large a query may be, and how long it has when it names no deadline."""

    max_payload_bytes: int
    default_deadline_ms: float


class Intake:
    """Takes query messages until told to stop."""

    def __init__(
        self,
        topics: Topics,
        spool: Spool,
        outbox: Outbox,
        waiting: RequestQueue,
        limits: IntakeLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        uptime: Callable[[], Uptime | None] = Uptime.now,
    ) -> None:
        self._topics = topics
        self._spool = spool
        self._outbox = outbox
        self._waiting = waiting
        self.limits = limits
        self._clock = clock
        self._wall_clock = wall_clock
        self._uptime = uptime

    async def accept(self, message: Message) -> None:
        """Spool one message, acknowledge it, and hand it on or refuse it; its time runs from now."""
        arrived_at = self._clock()
        fields, query = self._read(message)
        address = Address.of(
            fields, self._topics, response=message.response_topic, correlation=message.correlation
        )
        left_ms = self._left_ms(query, message.expiry_s)
        entry = self._entry(message, address, query, left_ms)
        again = address.query_id is not None or message.dup
        if again and await self._outbox.answered_unrecorded(entry.key):
            message.ack()
            return
        try:
            added = await self._spool.add(entry)
            if added is Added.DUPLICATE and not again:
                entry = replace(entry, key=f"{entry.key}#{uuid.uuid4().hex}")
                added = await self._spool.add(entry)
        except InarvlError as error:
            await self._outbox.refuse(entry, address, refusal(address, error))
            message.ack()
            return
        message.ack()
        if added is Added.NEW:
            await self._hand_on(entry.key, address, query, arrived_at, left_ms / 1e3, resent=False)

    async def resume(self, left: list[SpoolEntry]) -> None:
        """Hand on what an earlier run acknowledged and left unanswered, marked as resent.

        `left` is emptied, so that nobody keeps its images for the length of this run.
        """
        while left:
            entry, since = left.pop(0), None
            try:
                known = json.loads(entry.attributes)
                since = Uptime.from_json(known.get("uptime"))
                address = Address(entry.reply_topic, known["query_id"], entry.correlation, known["mirror"])
                fault = known["fault"]
                query = BadQuery(*fault) if fault else _query(entry.payload, known["user"])[1]
            except (ValueError, TypeError, KeyError, AttributeError):
                address = Address(entry.reply_topic, correlation=entry.correlation)
                query = BadQuery("spool_failed", "the disk damaged this query: send it again")
            left_ms = entry.expires_ms - entry.received_ms - self._waited_ms(entry, since)
            await self._hand_on(entry.key, address, query, self._clock(), left_ms / 1e3, resent=True)

    def _waited_ms(self, entry: SpoolEntry, since: Uptime | None) -> float:
        now = self._uptime()
        waited_ms = None if now is None else now.since_ms(since)
        return max(0.0, self._wall_clock() * 1e3 - entry.received_ms) if waited_ms is None else waited_ms

    async def _hand_on(
        self,
        key: str,
        address: Address,
        query: Query | BadQuery,
        arrived_at: float,
        left_s: float,
        *,
        resent: bool,
    ) -> None:
        if isinstance(query, BadQuery):
            await self._outbox.send(key, address, refusal(address, query, resent=resent))
            return
        reserve_s = self._outbox.sending.reserve_s(left_s)
        shed = self._waiting.offer(
            Job(key, query, address, arrived_at, arrived_at + left_s, resent, reserve_s)
        )
        if shed is not None:
            job, reason = shed
            await self._outbox.send(job.key, job.address, refusal(job.address, reason, resent=job.resent))

    def _read(self, message: Message) -> tuple[Mapping[str, Any], Query | BadQuery]:
        limit = self.limits.max_payload_bytes
        if len(message.payload) > limit:
            fault = BadQuery("too_large", f"the query has over {limit} bytes: send a smaller image")
            return message.user, fault
        return _query(message.payload, message.user)

    def _left_ms(self, query: Query | BadQuery, expiry_s: int | None) -> float:
        asked = query.deadline_ms if isinstance(query, Query) else None
        left_ms = asked or self.limits.default_deadline_ms
        return left_ms if expiry_s is None else min(left_ms, expiry_s * 1e3)

    def _entry(
        self, message: Message, address: Address, query: Query | BadQuery, left_ms: float
    ) -> SpoolEntry:
        sound = isinstance(query, Query)
        received_ms = int(self._wall_clock() * 1e3)
        uptime = self._uptime()
        known = {
            "query_id": address.query_id,
            "mirror": address.mirror,
            "fault": None if isinstance(query, Query) else [query.code, str(query)],
            "user": dict(message.user) if sound else {},
            "uptime": None if uptime is None else uptime.to_json(),
        }
        return SpoolEntry(
            key=_key(address, message),
            received_ms=received_ms,
            expires_ms=received_ms + int(left_ms),
            reply_topic=address.topic,
            correlation=address.correlation,
            payload=message.payload if sound else b"",
            attributes=json.dumps(known),
        )


def refusal(address: Address, error: InarvlError, *, resent: bool = False) -> Refusal:
    """The reply that tells the sender of a query what was wrong."""
    return Refusal(address.query_id, error.code, str(error), resent, address.mirror)


def _query(payload: bytes, user: Mapping[str, str]) -> tuple[Mapping[str, Any], Query | BadQuery]:
    """The fields of a payload as far as they can be read, with the query or what is wrong with it."""
    fields: Mapping[str, Any] = user
    try:
        fields, image = read_payload(payload, user)
        return fields, Query.from_fields(fields, image)
    except BadQuery as fault:
        return fields, fault


def _key(address: Address, message: Message) -> str:
    """The sender's own id, else content and packet number, by which a broker's redelivery is known again."""
    if address.query_id is not None:
        return f"{address.topic}\n{address.query_id}"
    parts = (address.topic.encode(), address.correlation or b"", message.payload)
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return f"{digest}#{message.packet}"
