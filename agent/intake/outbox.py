"""Replies on their way out.

1. A reply stands in the spool before it is published, and leaves it when the broker has acknowledged it.
2. Where the disk takes no more it is published all the same: an answer in hand is not withheld. What was
   answered so is remembered, for the broker may send its query again.
3. What an earlier run left is published again, marked as resent, since the broker may have had it.
4. How long replies take from being known to being with the broker is told, to be kept back from deadlines.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

import anyio

from agent.intake.reply_time import ReplyTime
from agent.messages.address import Address
from agent.messages.mqtt import MqttConnection, PublishRefused
from agent.messages.reply import Reply
from agent.spool.spool import Added, Kept, Spool, SpooledReply, SpoolEntry, SpoolFailed

log = logging.getLogger(__name__)

RETRY_S = 2.0
MOST_REMEMBERED = 4096


class Outbox:
    """Publishes replies with QoS 1, exactly one per query.

    Attributes:
        sending: how long they take.
    """

    def __init__(
        self, spool: Spool, link: MqttConnection, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.sending = ReplyTime()
        self._spool = spool
        self._link = link
        self._clock = clock
        self._todo: list[tuple[SpooledReply, float]] = []  # each with when its sending began
        self._under_way = 0
        self._changed = anyio.Event()
        self._unrecorded: OrderedDict[str, anyio.Event] = OrderedDict()

    async def send(self, key: str, address: Address, reply: Reply) -> None:
        """Answer the spooled query `key`; returns when the reply is safe. A second one is dropped."""
        payload, since = reply.to_bytes(), self._clock()
        try:
            kept = await self._spool.answer(key, payload)
        except SpoolFailed as error:
            log.error("the reply to %s goes out without standing on the disk: %s", key, error)
            kept = Kept.UNKNOWN
        if kept is Kept.SECOND or (kept is Kept.UNKNOWN and not self._first(key)):
            return
        self._queue(SpooledReply(key, address.topic, address.correlation, payload), since)

    async def refuse(self, entry: SpoolEntry, address: Address, reply: Reply) -> None:
        """Refuse a query that the spool has no room for; returns when the broker has the refusal.

        It waits for that, so that no more such refusals are open than the broker sends queries at a time.
        """
        payload = reply.to_bytes()
        try:
            if await self._spool.refuse(entry, payload) is Added.DUPLICATE:
                return
            recorded = True
        except SpoolFailed:
            if not self._first(entry.key):
                return
            recorded = False
        await self._publish(SpooledReply(entry.key, address.topic, address.correlation, payload))
        if recorded:
            await self._record_delivery(entry.key)

    async def answered_unrecorded(self, key: str) -> bool:
        """Whether `key` has been answered without the disk knowing; returns when the broker has the reply."""
        published = self._unrecorded.get(key)
        if published is None:
            return False
        await published.wait()
        return True

    def resume(self, left: list[SpooledReply]) -> None:
        """Publish what an earlier run answered without seeing it acknowledged."""
        for entry in left:
            again = SpooledReply(entry.key, entry.reply_topic, entry.correlation, _resent(entry.reply))
            self._queue(again, self._clock())

    async def run(self) -> None:
        """Publish for ever, all that is there at once: the spool bounds how many."""
        async with anyio.create_task_group() as tasks:
            while True:
                while not self._todo:
                    await self._changed.wait()
                for entry, since in self._todo:
                    tasks.start_soon(self._deliver, entry, since)
                self._todo.clear()

    async def emptied(self) -> None:
        """Return when nothing is on its way."""
        while self._under_way:
            await self._changed.wait()

    def _queue(self, entry: SpooledReply, since: float) -> None:
        self._todo.append((entry, since))
        self._under_way += 1
        self._wake()

    async def _deliver(self, entry: SpooledReply, since: float) -> None:
        await self._publish(entry)
        self.sending.took(self._clock() - since)
        await self._record_delivery(entry.key)
        self._under_way -= 1
        self._wake()

    async def _publish(self, entry: SpooledReply) -> None:
        try:
            await self._link.publish(entry.reply_topic, entry.reply, qos=1, correlation=entry.correlation)
        except PublishRefused as error:
            log.error("the reply to %s was not taken: %s", entry.key, error)
        if (published := self._unrecorded.get(entry.key)) is not None:
            published.set()

    async def _record_delivery(self, key: str) -> None:
        while True:
            try:
                await self._spool.delivered(key)
                return
            except SpoolFailed:
                await anyio.sleep(RETRY_S)

    def _first(self, key: str) -> bool:
        if key in self._unrecorded:
            return False
        self._unrecorded[key] = anyio.Event()
        if len(self._unrecorded) > MOST_REMEMBERED:
            _, forgotten = self._unrecorded.popitem(last=False)
            forgotten.set()
        return True

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _resent(reply: bytes) -> bytes:
    try:
        body = json.loads(reply)
    except ValueError:
        return reply
    return json.dumps({**body, "resent": True}).encode() if isinstance(body, dict) else reply
