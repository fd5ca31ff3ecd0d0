"""Receives queries over MQTT: spools them, acknowledges them to the broker, and submits them.

1. Each message becomes an entry of the spool, malformed ones too: every acknowledged query gets a reply.
2. A message is acknowledged only after that. If the agent crashes before, the broker sends it again.
3. A second message with the same reply topic and id is acknowledged and dropped. A query without an id is a
   duplicate if the broker marks it as redelivered and the spool knows its content and packet number. A marked
   message that the spool does not know is new: its first delivery may have been lost.
4. Time that passed while the agent was stopped is measured since boot, which no clock change affects. After
   a reboot the wall clock measures it, and a query never gets more time than it arrived with.
5. If the spool is full or failing, the query is answered with an error immediately.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from agent.intake.intake import Intake
from agent.intake.outbox import Outbox
from agent.intake.request import Request
from agent.intake.uptime import Uptime
from agent.messages.address import Address
from agent.messages.mqtt_message import Message
from agent.messages.query import BadQuery, Query, read_payload
from agent.messages.topics import Topics
from agent.spool.spool import Added, Spool, SpoolEntry
from inarvl.errors import InarvlError


class MqttDoor:
    """Receives queries over MQTT; their replies go through the outbox."""

    def __init__(
        self,
        topics: Topics,
        spool: Spool,
        outbox: Outbox,
        intake: Intake,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        uptime: Callable[[], Uptime | None] = Uptime.now,
    ) -> None:
        self._topics = topics
        self._spool = spool
        self._outbox = outbox
        self._intake = intake
        self._clock = clock
        self._wall_clock = wall_clock
        self._uptime = uptime

    async def receive(self, message: Message) -> None:
        """Spools `message`, acknowledges it, and submits or refuses it. Its time runs from this call."""
        arrived_at = self._clock()
        fields, query = self._read(message)
        address = Address.of(
            fields, self._topics, response=message.response_topic, correlation=message.correlation
        )
        allowed_ms = self._intake.allowed_ms(query if isinstance(query, Query) else None, message.expiry_s)
        entry = self._entry(message, address, query, allowed_ms)
        repeatable = address.query_id is not None or message.dup
        if repeatable and await self._outbox.answered_unrecorded(entry.key):
            message.ack()
            return
        try:
            added = await self._spool.add(entry)
            if added is Added.DUPLICATE and not repeatable:
                entry = replace(entry, key=f"{entry.key}#{uuid.uuid4().hex}")
                added = await self._spool.add(entry)
        except InarvlError as error:
            await self._outbox.refuse(entry, address, address.refusal(error))
            message.ack()
            return
        message.ack()
        if added is Added.NEW:
            await self._submit(entry.key, address, query, arrived_at, allowed_ms / 1e3, resent=False)

    async def resume(self, unanswered: list[SpoolEntry]) -> None:
        """Submits the queries that an earlier run acknowledged but did not answer, marked as resent.

        Empties `unanswered`, so that its images are not kept in memory for the whole run.
        """
        while unanswered:
            entry, spooled_at = unanswered.pop(0), None
            try:
                attributes = json.loads(entry.attributes)
                spooled_at = Uptime.from_json(attributes.get("uptime"))
                address = Address(
                    entry.reply_topic, attributes["query_id"], entry.correlation, attributes["mirror"]
                )
                fault = attributes["fault"]
                query = BadQuery(*fault) if fault else _query(entry.payload, attributes["user"])[1]
            except (ValueError, TypeError, KeyError, AttributeError):
                address = Address(entry.reply_topic, correlation=entry.correlation)
                query = BadQuery("spool_failed", "the disk damaged this query: send it again")
            left_ms = entry.expires_ms - entry.received_ms - self._waited_ms(entry, spooled_at)
            await self._submit(entry.key, address, query, self._clock(), left_ms / 1e3, resent=True)

    def _waited_ms(self, entry: SpoolEntry, spooled_at: Uptime | None) -> float:
        now = self._uptime()
        waited_ms = None if now is None else now.since_ms(spooled_at)
        return max(0.0, self._wall_clock() * 1e3 - entry.received_ms) if waited_ms is None else waited_ms

    async def _submit(
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
            await self._outbox.send(key, address, address.refusal(query, resent=resent))
            return
        await self._intake.submit(
            Request(
                key,
                query,
                partial(self._outbox.send, key, address),
                arrived_at,
                arrived_at + left_s,
                reserve_s=self._outbox.reply_time.reserve_s(left_s),
                query_id=address.query_id,
                correlation=address.mirror,
                resent=resent,
            )
        )

    def _read(self, message: Message) -> tuple[Mapping[str, Any], Query | BadQuery]:
        limit = self._intake.max_payload_bytes
        if len(message.payload) > limit:
            fault = BadQuery("too_large", f"the query has over {limit} bytes: send a smaller image")
            return message.user, fault
        return _query(message.payload, message.user)

    def _entry(
        self, message: Message, address: Address, query: Query | BadQuery, allowed_ms: float
    ) -> SpoolEntry:
        valid = isinstance(query, Query)
        received_ms = int(self._wall_clock() * 1e3)
        uptime = self._uptime()
        attributes = {
            "query_id": address.query_id,
            "mirror": address.mirror,
            "fault": None if isinstance(query, Query) else [query.code, str(query)],
            "user": dict(message.user) if valid else {},
            "uptime": None if uptime is None else uptime.to_json(),
        }
        return SpoolEntry(
            key=_key(address, message),
            received_ms=received_ms,
            expires_ms=received_ms + int(allowed_ms),
            reply_topic=address.topic,
            correlation=address.correlation,
            payload=message.payload if valid else b"",
            attributes=json.dumps(attributes),
        )


def _query(payload: bytes, user: Mapping[str, str]) -> tuple[Mapping[str, Any], Query | BadQuery]:
    """Returns the fields of a payload that can be read, and the query or what is wrong with it."""
    fields: Mapping[str, Any] = user
    try:
        fields, image = read_payload(payload, user)
        return fields, Query.from_fields(fields, image)
    except BadQuery as fault:
        return fields, fault


def _key(address: Address, message: Message) -> str:
    """Returns a key that a redelivery shares: from the sender's id, else from content and packet number."""
    if address.query_id is not None:
        return f"{address.topic}\n{address.query_id}"
    parts = (address.topic.encode(), address.correlation or b"", message.payload)
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return f"{digest}#{message.packet}"
