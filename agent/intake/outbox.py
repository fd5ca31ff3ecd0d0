"""Publishes replies over MQTT.

1. A reply is written to the spool before it is published, and removed when the broker has acknowledged it.
2. If the disk cannot store a reply, it is published without being stored. Its key is kept in memory, because
   the broker may deliver the query again.
3. Replies of an earlier run that the broker did not acknowledge are published again, marked as resent: the
   broker may have received them.
4. The time from reply to PUBACK is estimated, to be subtracted from deadlines.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

import anyio

from agent.intake.reply_publisher import ReplyPublisher
from agent.intake.reply_time import ReplyTime
from agent.messages.address import Address
from agent.messages.explanation import AnyReply
from agent.messages.reply import Reply
from agent.spool.spool import Added, Kept, Spool, SpooledReply, SpoolEntry, SpoolFailed
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

RETRY_S = 2.0
MAX_REMEMBERED = 4096
MAX_OPEN_REFUSALS = 256


class Outbox:
    """Publishes replies with QoS 1, exactly one per query.

    Attributes:
        reply_time: estimated time from reply to PUBACK.

    Args:
        replied: called with each reply that is to be published, once.
    """

    def __init__(
        self,
        spool: Spool,
        publisher: ReplyPublisher,
        *,
        replied: Callable[[AnyReply], None] = lambda _reply: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replied = replied
        self.reply_time = ReplyTime()
        self._spool = spool
        self._publisher = publisher
        self._clock = clock
        # Each with the time at which it became ready; None for a refusal: many at once measure a backlog.
        self._ready: list[tuple[SpooledReply, float | None]] = []
        self._open = 0
        self._changed = anyio.Event()
        self._unrecorded: OrderedDict[str, anyio.Event] = OrderedDict()

    async def send(self, key: str, address: Address, reply: AnyReply) -> None:
        """Stores the reply to the spooled query `key` and queues it; drops a second reply."""
        payload, ready_at = reply.to_bytes(), self._clock()
        try:
            kept = await self._spool.answer(key, payload)
        except SpoolFailed as error:
            log.error("the reply to %s is published although the disk could not store it: %s", key, error)
            kept = Kept.UNKNOWN
        if kept is Kept.SECOND or (kept is Kept.UNKNOWN and not self._first(key)):
            return
        self._replied(reply)
        self._queue(SpooledReply(key, address.topic, address.correlation, payload), ready_at)

    async def refuse(self, entry: SpoolEntry, address: Address, reply: Reply) -> bool:
        """Refuses a query that the spool has no space for, or that is not worth space.

        Returns when the refusal is on disk, or else when the broker has it. It also waits while
        MAX_OPEN_REFUSALS are open, so that the broker delivers no more queries than can be refused.

        Returns:
            False if the spool has a query with the same key; then nothing is sent.
        """
        payload = reply.to_bytes()
        refusal = SpooledReply(entry.key, address.topic, address.correlation, payload)
        try:
            if await self._spool.refuse(entry, payload) is Added.DUPLICATE:
                return False
        except SpoolFailed:
            if self._first(entry.key):
                self._replied(reply)
                await self._publish(refusal)
            return True
        self._replied(reply)
        self._queue(refusal, None)
        while self._open > MAX_OPEN_REFUSALS:
            await self._changed.wait()
        return True

    async def refuse_unstored(self, key: str, address: Address, reply: Reply) -> None:
        """Refuses a new query of which nothing is stored; returns when the broker has the refusal.

        It is remembered in memory only: after a crash, a query that the broker delivers again is a new one.
        """
        self._first(key)
        self._replied(reply)
        await self._publish(SpooledReply(key, address.topic, address.correlation, reply.to_bytes()))

    async def repeat(self, key: str, address: Address, reply: bytes) -> None:
        """Publishes the reply that `key` has to a later query; returns when the broker has it."""
        again = _resent(reply, correlation=address.mirror)
        await self._publish(SpooledReply(key, address.topic, address.correlation, again))

    async def refuse_repeated(self, key: str, address: Address, error: InarvlError) -> None:
        """Refuses a later query with the key of an earlier one; returns when the broker has the refusal."""
        refusal = address.refusal(error)
        self._replied(refusal)
        await self._publish(SpooledReply(key, address.topic, address.correlation, refusal.to_bytes()))

    async def answered_unrecorded(self, key: str) -> bool:
        """Returns whether `key` has a reply that is not on disk; if so, waits until it is published."""
        published = self._unrecorded.get(key)
        if published is None:
            return False
        await published.wait()
        return True

    def resume(self, undelivered: list[SpooledReply]) -> None:
        """Publishes the replies of an earlier run that the broker did not acknowledge."""
        for entry in undelivered:
            again = SpooledReply(entry.key, entry.reply_topic, entry.correlation, _resent(entry.reply))
            self._queue(again, self._clock())

    async def run(self) -> None:
        """Publishes replies until cancelled, all at the same time: the spool limits their number."""
        async with anyio.create_task_group() as tasks:
            while True:
                while not self._ready:
                    await self._changed.wait()
                for entry, ready_at in self._ready:
                    tasks.start_soon(self._deliver, entry, ready_at)
                self._ready.clear()

    async def emptied(self) -> None:
        """Returns when no reply is waiting or being published."""
        while self._open:
            await self._changed.wait()

    def _queue(self, entry: SpooledReply, ready_at: float | None) -> None:
        self._ready.append((entry, ready_at))
        self._open += 1
        self._wake()

    async def _deliver(self, entry: SpooledReply, ready_at: float | None) -> None:
        await self._publish(entry)
        if ready_at is not None:
            self.reply_time.observe(self._clock() - ready_at)
        await self._record_delivery(entry.key)
        self._open -= 1
        self._wake()

    async def _publish(self, entry: SpooledReply) -> None:
        await self._publisher.publish(entry)
        log.debug("the reply to %s is published", entry.key)
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
        if len(self._unrecorded) > MAX_REMEMBERED:
            _, forgotten = self._unrecorded.popitem(last=False)
            forgotten.set()
        return True

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _resent(reply: bytes, **changed: str | None) -> bytes:
    try:
        body = json.loads(reply)
    except ValueError:
        return reply
    if not isinstance(body, dict):
        return reply
    body |= {**changed, "resent": True}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()
