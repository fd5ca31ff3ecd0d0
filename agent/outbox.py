"""Replies on their way out.

1. A reply stands in the spool before it is published, and leaves it when the broker has acknowledged it.
2. Where the disk takes no more it is published all the same: an answer in hand is not withheld.
3. What an earlier run left is published again, marked as resent, since the broker may have had it.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict

import anyio

from agent.address import Address
from agent.mqtt import MqttLink, PublishRefused
from agent.reply import Reply
from agent.spool import Kept, Spool, SpooledReply, SpoolFailed

log = logging.getLogger(__name__)

RETRY_S = 2.0
MOST_REMEMBERED = 4096


class Outbox:
    """Publishes replies with QoS 1, exactly one per query."""

    def __init__(self, spool: Spool, link: MqttLink) -> None:
        self._spool = spool
        self._link = link
        self._todo: list[SpooledReply] = []
        self._under_way = 0
        self._changed = anyio.Event()
        self._unrecorded: OrderedDict[str, None] = OrderedDict()

    async def send(self, key: str, address: Address, reply: Reply) -> None:
        """Answer the spooled query `key`; returns when the reply is safe. A second one is dropped."""
        payload = reply.to_bytes()
        try:
            kept = await self._spool.answer(key, payload)
        except SpoolFailed as error:
            log.error("the reply to %s goes out without standing on the disk: %s", key, error)
            kept = Kept.UNKNOWN
        if kept is Kept.SECOND or (kept is Kept.UNKNOWN and not self._first(key)):
            return
        self._queue(SpooledReply(key, address.topic, address.correlation, payload))

    async def send_unspooled(self, address: Address, reply: Reply) -> None:
        """Refuse a query that the spool could not take; returns when the broker has the refusal."""
        await self._link.publish(address.topic, reply.to_bytes(), qos=1, correlation=address.correlation)

    def resume(self, left: list[SpooledReply]) -> None:
        """Publish what an earlier run answered without seeing it acknowledged."""
        for entry in left:
            self._queue(SpooledReply(entry.key, entry.reply_topic, entry.correlation, _resent(entry.reply)))

    async def run(self) -> None:
        """Publish for ever, all that is there at once: the spool bounds how many."""
        async with anyio.create_task_group() as tasks:
            while True:
                while not self._todo:
                    await self._changed.wait()
                for entry in self._todo:
                    tasks.start_soon(self._publish, entry)
                self._todo.clear()

    async def emptied(self) -> None:
        """Return when nothing is on its way."""
        while self._under_way:
            await self._changed.wait()

    def _queue(self, entry: SpooledReply) -> None:
        self._todo.append(entry)
        self._under_way += 1
        self._wake()

    async def _publish(self, entry: SpooledReply) -> None:
        try:
            await self._link.publish(entry.reply_topic, entry.reply, qos=1, correlation=entry.correlation)
        except PublishRefused as error:
            log.error("the reply to %s was not taken: %s", entry.key, error)
        while True:
            try:
                await self._spool.delivered(entry.key)
                break
            except SpoolFailed:
                await anyio.sleep(RETRY_S)
        self._under_way -= 1
        self._wake()

    def _first(self, key: str) -> bool:
        if key in self._unrecorded:
            return False
        self._unrecorded[key] = None
        if len(self._unrecorded) > MOST_REMEMBERED:
            self._unrecorded.popitem(last=False)
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
