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
5. If the spool is full or failing, the query is answered with an error immediately. If the client asks too
   often, or the queue would refuse the query, it is refused without being stored: a flood must cost little.
6. The time of a query counts from when it was asked, if its field `asked_at` or the expiry of its message
   says that, else from its arrival. A query that has expired when it arrives is refused and not stored.
7. A query that was in work at two crashes in a row is answered with an error and set aside (quarantine.py).
8. A client that the broker vouches for (query_reader.py) shares no id with another one, also after a restart.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio

from agent.intake.intake import Intake, TimeLimit
from agent.intake.outbox import Outbox
from agent.intake.quarantine import Quarantine
from agent.intake.query_entry import attributes_of, query_entry, query_key
from agent.intake.query_reader import QueryReader, ReadQuery, parsed_query
from agent.intake.request import Request
from agent.intake.uptime import Uptime
from agent.messages.address import Address
from agent.messages.explanation import AnyReply
from agent.messages.mqtt_message import Message
from agent.messages.query import BadQuery, Query
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from agent.spool.spool import Added, Spool, SpoolEntry, SpoolFailed
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
        rules: ReplyRules,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        uptime: Callable[[], Uptime | None] = Uptime.now,
        guard: Door | None = None,
    ) -> None:
        self._reader = QueryReader(topics, rules, intake, quarantine, guard or Door("queries"))
        self._spool = spool
        self._outbox = outbox
        self._intake = intake
        self._quarantine = quarantine
        self._clock = clock
        self._wall_clock = wall_clock
        self._uptime = uptime

    async def receive(self, message: Message) -> None:
        """Spools `message`, acknowledges it, and submits or refuses it. Its time runs from this call."""
        arrived_at = self._clock()
        read = await self._reader.read(message)
        query, address = read.query, read.address
        limit = self._intake.time_limit(
            query if isinstance(query, Query) else None,
            now_s=self._wall_clock(),
            expiry_s=message.expiry_s,
        )
        key = query_key(message, read)
        repeatable = address.query_id is not None or message.dup
        if repeatable and await self._outbox.answered_unrecorded(key):
            if not message.dup:
                error = BadQuery("id_reused", "this id was answered without storing it: choose a new one")
                await self._outbox.refuse_repeated(key, address, error)
            message.ack()
            return
        refusal = None if message.dup else self._refusal(key, read, arrived_at, limit)
        if refusal is not None and not await self._known(key, address):
            await self._outbox.refuse_unstored(key, address, address.refusal(refusal))
            message.ack()
            return
        entry = query_entry(
            key, message, read, limit, received_ms=int(self._wall_clock() * 1e3), uptime=self._uptime()
        )
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
            known = not await self._outbox.refuse(entry, address, address.refusal(error))
            if known and address.query_id is not None and not message.dup:
                await self._answer_repeated(entry, address, message)
            message.ack()
            return
        message.ack()
        name = query.id if isinstance(query, Query) else address.query_id
        log.debug("query %s: received, %s, stored as %s", name, added.name.lower(), entry.key)
        if added is Added.NEW:
            await self._submit(entry.key, read, arrived_at, limit)

    def _refusal(self, key: str, read: ReadQuery, arrived_at: float, limit: TimeLimit) -> InarvlError | None:
        """Returns why the intake refuses a new query."""
        request = None
        if isinstance(read.query, Query) and limit.left_ms > 0:
            request = self._request(key, read, read.query, arrived_at, limit, _no_reply)
        try:
            self._intake.admit(read.address.client, verified=read.verified, request=request)
        except InarvlError as error:
            return error
        return None

    async def _known(self, key: str, address: Address) -> bool:
        """Returns whether the spool has a query with this id."""
        if address.query_id is None:
            return False
        try:
            return await self._spool.earlier(key) is not None
        except SpoolFailed:
            return False

    async def _answer_repeated(self, entry: SpoolEntry, address: Address, message: Message) -> None:
        earlier = await self._spool.earlier(entry.key)
        if earlier is None:  # pruned in the meantime
            return
        known, new = attributes_of(earlier.attributes), attributes_of(entry.attributes)
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
        spooled_at = client = None
        try:
            attributes = json.loads(entry.attributes)
            client = attributes.get("client")
            spooled_at = Uptime.from_json(attributes.get("uptime"))
            address = Address(
                entry.reply_topic, attributes["query_id"], entry.correlation, attributes["mirror"]
            )
            fault = attributes["fault"]
            query = BadQuery(*fault) if fault else problem or _parsed(entry, attributes)
        except (ValueError, TypeError, KeyError, AttributeError):
            address = Address(entry.reply_topic, correlation=entry.correlation)
            query = BadQuery("spool_failed", "the disk damaged this query: send it again")
        allowed_ms = entry.expires_ms - entry.received_ms
        limit = TimeLimit(allowed_ms, allowed_ms - self._waited_ms(entry, spooled_at))
        read = ReadQuery(address, query, client)
        return await self._submit(entry.key, read, self._clock(), limit, resent=True)

    def _waited_ms(self, entry: SpoolEntry, spooled_at: Uptime | None) -> float:
        now = self._uptime()
        waited_ms = None if now is None else now.since_ms(spooled_at)
        return max(0.0, self._wall_clock() * 1e3 - entry.received_ms) if waited_ms is None else waited_ms

    async def _submit(
        self, key: str, read: ReadQuery, arrived_at: float, limit: TimeLimit, *, resent: bool = False
    ) -> anyio.Event:
        """Submits a query, or refuses an invalid one; returns an event that its reply sets."""
        replied = anyio.Event()

        async def reply(content: AnyReply) -> None:
            await self._outbox.send(key, read.address, content)
            replied.set()

        if isinstance(read.query, BadQuery):
            await reply(read.address.refusal(read.query, resent=resent))
        else:
            request = self._request(key, read, read.query, arrived_at, limit, reply)
            await self._intake.submit(replace(request, resent=resent))
        return replied

    def _request(
        self,
        key: str,
        read: ReadQuery,
        query: Query,
        arrived_at: float,
        limit: TimeLimit,
        reply: Callable[[AnyReply], Awaitable[None]],
    ) -> Request:
        left_s = limit.left_ms / 1e3
        return Request(
            key,
            query,
            reply,
            arrived_at,
            arrived_at + left_s,
            reserve_s=self._outbox.reply_time.reserve_s(left_s),
            allowed_s=limit.allowed_ms / 1e3,
            query_id=read.address.query_id,
            correlation=read.address.mirror,
            verified=read.verified,
            reply_to=read.address.topic,
        )


def _expired(limit: TimeLimit) -> BadQuery:
    age_s, allowed_s = (limit.allowed_ms - limit.left_ms) / 1e3, limit.allowed_ms / 1e3
    return BadQuery(
        "deadline_expired",
        f"it was asked {age_s:.0f} s ago and had {allowed_s:.0f} s: ask again, or allow more deadline_ms; if "
        "that is not when it was asked, set the clocks",
    )


async def _no_reply(_reply: AnyReply) -> None:
    raise AssertionError("a request that is only admitted has no reply")


def _parsed(entry: SpoolEntry, attributes: Mapping[str, Any]) -> Query | BadQuery:
    return parsed_query(entry.payload, attributes["user"], attributes.get("client"))[1]
