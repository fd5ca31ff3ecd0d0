"""Replies on their way out: each stands in the spool until the broker has it."""

from __future__ import annotations

import logging

from agent.address import Address
from agent.mqtt import MqttLink, PublishRefused
from agent.reply import Reply
from agent.spool import Spool

log = logging.getLogger(__name__)


class Outbox:
    """Publishes replies with QoS 1, exactly one per query."""

    def __init__(self, spool: Spool, link: MqttLink) -> None:
        self._spool = spool
        self._link = link

    async def send(self, key: str, address: Address, reply: Reply) -> None:
        """Answer the spooled query `key`; returns when the broker has the reply. A second one is dropped."""
        payload = reply.to_bytes()
        if await self._spool.answer(key, payload):
            await self._publish(key, address.topic, payload, address.correlation)

    async def send_unspooled(self, address: Address, reply: Reply) -> None:
        """Refuse a query that the spool could not take."""
        await self._link.publish(address.topic, reply.to_bytes(), qos=1, correlation=address.correlation)

    async def resume(self) -> None:
        """Publish what an earlier run answered without seeing it acknowledged."""
        for entry in await self._spool.undelivered():
            await self._publish(entry.key, entry.reply_topic, entry.reply, entry.correlation)

    async def _publish(self, key: str, topic: str, payload: bytes, correlation: bytes | None) -> None:
        try:
            await self._link.publish(topic, payload, qos=1, correlation=correlation)
        except PublishRefused as error:
            log.error("the reply to %s was not taken: %s", key, error)
        await self._spool.delivered(key)
