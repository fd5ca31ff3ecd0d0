"""Publishes one reply, also if the broker does not accept it.

1. A reply that is larger than the broker accepts is replaced by an error.
2. A reply at which the broker closed the connection twice is set aside. Because its topic may be the reason,
   an error is sent to the default topic of the client.
3. A reply that the broker rejects is logged and dropped.
4. A stored reply whose topic the site file does not allow any more is replaced by an error on the default
   topic.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from agent.messages.deliveries import DisconnectedTwice, PublishRefused
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.packet_limit import PacketTooLarge
from agent.messages.query import BadQuery
from agent.messages.reply import Refusal
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import ANONYMOUS, Topics
from agent.spool.dead_letters import DeadLetters
from agent.spool.spool import SpooledReply
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class ReplyTooLarge(InarvlError):
    """The answer is larger than the broker accepts."""

    code = "reply_too_large"


class ReplySetAside(InarvlError):
    """The broker closed the connection at a reply."""

    code = "internal"


class ReplyPublisher:
    """Publishes replies with QoS 1."""

    def __init__(
        self, mqtt: MqttConnection, topics: Topics, dead_letters: DeadLetters, rules: ReplyRules
    ) -> None:
        self._mqtt = mqtt
        self._topics = topics
        self._dead_letters = dead_letters
        self._rules = rules

    async def publish(self, reply: SpooledReply) -> None:
        """Publishes `reply`, or an error in its place; returns when that is done or impossible."""
        if not self._rules.allows(reply.reply_topic):
            refused = BadQuery(
                "bad_response_topic", "the site file does not allow the response topic any more"
            )
            await self._send_error(replace(_with_error(reply, refused), reply_topic=self._topics.result()))
            return
        try:
            await self._send(reply)
        except PacketTooLarge as error:
            log.error("the reply to %s: %s", reply.key, error)
            problem = ReplyTooLarge(
                "the broker does not accept an answer of this size: ask for a shorter one"
            )
            await self._send_error(_with_error(reply, problem))
        except DisconnectedTwice as error:
            reason = f"at the reply to it on {reply.reply_topic[:200]}, {error}"
            await self._dead_letters.set_aside("reply_set_aside", reply.key, reason, reply.reply)
            disconnected = ReplySetAside(
                f"{error}: choose another response topic, or ask for a shorter answer"
            )
            default = self._default_topic(reply.reply_topic)
            await self._send_error(replace(_with_error(reply, disconnected), reply_topic=default))
        except PublishRefused as error:
            log.error("the reply to %s: %s", reply.key, error)

    def _default_topic(self, topic: str) -> str:
        """Returns the default reply topic of the client to whom `topic` belongs."""
        results = self._topics.result("")
        client = topic.removeprefix(results).partition("/")[0] if topic.startswith(results) else ""
        return self._topics.result(client or ANONYMOUS)

    async def _send_error(self, reply: SpooledReply) -> None:
        try:
            await self._send(reply)
        except (PacketTooLarge, DisconnectedTwice, PublishRefused) as error:
            log.error("the error for %s cannot be sent: %s", reply.key, error)

    async def _send(self, reply: SpooledReply) -> None:
        await self._mqtt.publish(reply.reply_topic, reply.reply, qos=1, correlation=reply.correlation)


def _with_error(reply: SpooledReply, error: InarvlError) -> SpooledReply:
    """Returns the error as a reply to the same query."""
    try:
        body = dict(json.loads(reply.reply))
    except (ValueError, TypeError):  # damaged on the disk
        body = {}
    refusal = Refusal.of(
        error,
        query_id=body.get("id"),
        resent=bool(body.get("resent")),
        correlation=body.get("correlation"),
    )
    return replace(reply, reply=refusal.to_bytes())
