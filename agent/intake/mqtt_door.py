"""Receives queries over MQTT: spools them, acknowledges them to the broker, and submits them.

1. Each message becomes an entry of the spool, malformed ones too: every acknowledged query gets a reply.
2. A message is acknowledged only after that. If the agent crashes before, the broker sends it again.
3. A second delivery of a message is acknowledged and dropped: it is marked as redelivered, and the spool
   knows its packet number and its id, or without an id its content. A marked message that the spool does not
   know is new: its first delivery may have been lost.
   Another message with the same reply topic and id gets the reply of the first one, now or when that has one.
   If it asks something else, it is refused.
4. Time that passed while the agent was stopped is measured since boot, which no clock change affects. After
   a reboot the wall clock measures it, and a query never gets more time than it arrived with.
5. If the spool is full or failing, the query is answered with an error immediately.
6. The time of a query counts from when it was asked, if its field `asked_at` or the expiry of its message
   says that, else from its arrival. A query that has expired when it arrives is refused and not stored.
7. A query that was in work at two crashes in a row is answered with an error and set aside (quarantine.py).
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio

from agent.intake.content import content_digest, invalid_digest
from agent.intake.intake import Intake, TimeLimit
from agent.intake.outbox import Outbox
from agent.intake.quarantine import Quarantine, SetAside
from agent.intake.request import Request
from agent.intake.uptime import Uptime
from agent.messages.address import Address
from agent.messages.mqtt_message import Message
from agent.messages.oversize import address_fields
from agent.messages.payload import read_payload
from agent.messages.query import BadQuery, Query
from agent.messages.reply import Reply
from agent.messages.topics import Topics
from agent.spool.spool import Added, Spool, SpoolEntry
from inarvl.door import Door
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class MqttDoor:
    """Receives queries over MQTT; their replies go through the outbox."""

    def __init__(
        self,
        topics: Topics,
        spool: Spool,
        outbox: Outbox,
        intake: Intake,
        quarantine: Quarantine,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        uptime: Callable[[], Uptime | None] = Uptime.now,
        guard: Door | None = None,
    ) -> None:
        self._topics = topics
        self._spool = spool
        self._outbox = outbox
        self._intake = intake
        self._quarantine = quarantine
        self._clock = clock
        self._wall_clock = wall_clock
        self._uptime = uptime
        self._guard = guard or Door("queries")

    async def receive(self, message: Message) -> None:
        """Spools `message`, acknowledges it, and submits or refuses it. Its time runs from this call."""
        arrived_at = self._clock()
        fields, query = await self._quarantined(message)
        address = Address.of(
            fields, self._topics, response=message.response_topic, correlation=message.correlation
        )
        limit = self._intake.time_limit(
            query if isinstance(query, Query) else None,
            now_s=self._wall_clock(),
            expiry_s=message.expiry_s,
        )
        entry = self._entry(message, address, query, limit)
        repeatable = address.query_id is not None or message.dup
        if repeatable and await self._outbox.answered_unrecorded(entry.key):
            if not message.dup:
                error = BadQuery("id_reused", "this id was answered while the disk failed: choose a new one")
                await self._outbox.refuse_repeated(entry.key, address, error)
            message.ack()
            return
        try:
            if isinstance(query, Query) and limit.left_ms <= 0:
                raise _expired(limit)
            added = await self._spool.add(entry)
            if added is Added.DUPLICATE and not repeatable:
                entry = replace(entry, key=f"{entry.key}#{uuid.uuid4().hex}")
                added = await self._spool.add(entry)
            if added is Added.DUPLICATE and address.query_id is not None:
                await self._answer_repeated(entry, address, message)
        except InarvlError as error:
            await self._outbox.refuse(entry, address, address.refusal(error))
            message.ack()
            return
        message.ack()
        name = query.id if isinstance(query, Query) else address.query_id
        log.debug("query %s: received, %s, stored as %s", name, added.name.lower(), entry.key)
        if added is Added.NEW:
            await self._submit(entry.key, address, query, arrived_at, limit, resent=False)

    async def _answer_repeated(self, entry: SpoolEntry, address: Address, message: Message) -> None:
        earlier = await self._spool.earlier(entry.key)
        if earlier is None:  # pruned in the meantime
            return
        known, new = _attributes(earlier.attributes), _attributes(entry.attributes)
        if known.get("content", new["content"]) != new["content"]:
            problem = "another question had this id: choose a new one for each question"
        elif message.dup and known.get("packet", message.packet) == message.packet:
            return
        elif earlier.reply:
            await self._outbox.repeat(entry.key, address, earlier.reply)
            return
        elif earlier.reply is None and earlier.correlation == entry.correlation:
            return  # the reply to the first one answers both
        else:
            problem = (
                "this question is being answered already, with other correlation data"
                if earlier.reply is None
                else "this question has been answered, and the reply is not stored any more: choose a new id"
            )
        await self._outbox.refuse_repeated(entry.key, address, BadQuery("id_reused", problem))

    async def resume(self, unanswered: list[SpoolEntry]) -> None:
        """Submits the queries that an earlier run acknowledged but did not answer, marked as resent.

        Empties `unanswered`, so that its images are not kept in memory for the whole run.
        """
        async for entry, problem, alone in self._quarantine.in_order(unanswered):
            replied = await self._resume(entry, problem)
            if alone:
                await replied.wait()

    async def _resume(self, entry: SpoolEntry, problem: BadQuery | None) -> anyio.Event:
        """Submits an entry, or refuses it because of `problem`; returns an event that its reply sets."""
        spooled_at = None
        try:
            attributes = json.loads(entry.attributes)
            spooled_at = Uptime.from_json(attributes.get("uptime"))
            address = Address(
                entry.reply_topic, attributes["query_id"], entry.correlation, attributes["mirror"]
            )
            fault = attributes["fault"]
            query = BadQuery(*fault) if fault else problem or _query(entry.payload, attributes["user"])[1]
        except (ValueError, TypeError, KeyError, AttributeError):
            address = Address(entry.reply_topic, correlation=entry.correlation)
            query = BadQuery("spool_failed", "the disk damaged this query: send it again")
        allowed_ms = entry.expires_ms - entry.received_ms
        limit = TimeLimit(allowed_ms, allowed_ms - self._waited_ms(entry, spooled_at))
        return await self._submit(entry.key, address, query, self._clock(), limit, resent=True)

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
        limit: TimeLimit,
        *,
        resent: bool,
    ) -> anyio.Event:
        replied = anyio.Event()

        async def reply(content: Reply) -> None:
            await self._outbox.send(key, address, content)
            replied.set()

        if isinstance(query, BadQuery):
            await reply(address.refusal(query, resent=resent))
            return replied
        left_s = limit.left_ms / 1e3
        await self._intake.submit(
            Request(
                key,
                query,
                reply,
                arrived_at,
                arrived_at + left_s,
                reserve_s=self._outbox.reply_time.reserve_s(left_s),
                allowed_s=limit.allowed_ms / 1e3,
                query_id=address.query_id,
                correlation=address.mirror,
                resent=resent,
            )
        )
        return replied

    async def _quarantined(self, message: Message) -> tuple[Mapping[str, Any], Query | BadQuery]:
        try:
            return await self._quarantine.read(message, self._read)
        except SetAside as error:
            return {}, error

    def _read(self, message: Message) -> tuple[Mapping[str, Any], Query | BadQuery]:
        most = self._intake.max_payload_bytes
        if message.oversized:
            return message.user, BadQuery("too_large", "the query has too many user properties: send fewer")
        if len(message.payload) > most:
            fault = BadQuery("too_large", f"the query has over {most} bytes: send a smaller image")
            return {**address_fields(message.payload), **message.user}, fault
        with self._guard.guard("a query"):
            return self._counted(*_query(message.payload, message.user))
        return message.user, BadQuery("internal", "the agent failed on this query: see its log")

    def _counted(
        self, fields: Mapping[str, Any], query: Query | BadQuery
    ) -> tuple[Mapping[str, Any], Query | BadQuery]:
        """Replaces a query with too many images by what is wrong with it."""
        most = self._intake.max_images
        if isinstance(query, Query) and len(query.sources) > most:
            found = f"the query has {len(query.sources)} images, and this agent accepts {most}"
            return fields, BadQuery("too_many_images", f"{found}: send fewer, or raise intake.max_images")
        return fields, query

    def _entry(
        self, message: Message, address: Address, query: Query | BadQuery, limit: TimeLimit
    ) -> SpoolEntry:
        valid = isinstance(query, Query)
        received_ms = int(self._wall_clock() * 1e3)
        uptime = self._uptime()
        attributes = {
            "query_id": address.query_id,
            "mirror": address.mirror,
            "fault": None if isinstance(query, Query) else [query.code, str(query)],
            "user": dict(message.user) if valid else {},
            "content": content_digest(query) if isinstance(query, Query) else invalid_digest(message.payload),
            "packet": message.packet,
            "uptime": None if uptime is None else uptime.to_json(),
        }
        return SpoolEntry(
            key=_key(address, message),
            received_ms=received_ms,
            expires_ms=received_ms + int(max(0.0, limit.left_ms)),
            reply_topic=address.topic,
            correlation=address.correlation,
            payload=message.payload if valid else b"",
            attributes=json.dumps(attributes),
        )


def _attributes(text: str) -> dict[str, Any]:
    """Returns the attributes of an entry; none if the disk has damaged them."""
    try:
        attributes = json.loads(text)
    except ValueError:
        return {}
    return attributes if isinstance(attributes, dict) else {}


def _expired(limit: TimeLimit) -> BadQuery:
    age_s, allowed_s = (limit.allowed_ms - limit.left_ms) / 1e3, limit.allowed_ms / 1e3
    return BadQuery(
        "deadline_expired",
        f"it was asked {age_s:.0f} s ago and had {allowed_s:.0f} s: ask again, or allow more deadline_ms; if "
        "that is not when it was asked, set the clocks",
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
