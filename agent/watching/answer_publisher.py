"""Publishes the answers to standing questions."""

from __future__ import annotations

import json
from typing import Any

import anyio

from agent.messages.deliveries import DisconnectedTwice, PublishRefused
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.packet_limit import PacketTooLarge
from agent.messages.reply import Refusal, Reply

PUBLISH_S = 10.0


class AnswerPublisher:
    """Publishes each answer once, with QoS 1; an answer that cannot be delivered in PUBLISH_S is dropped."""

    def __init__(self, mqtt: MqttConnection) -> None:
        self._mqtt = mqtt

    async def publish(self, topic: str, reply: Reply, about: dict[str, Any], *, retain: bool) -> str | None:
        """Publishes a reply.

        Args:
            about: fields that are added to those of the reply.
            retain: whether the broker keeps it; it never keeps an error, which would replace an answer.

        Returns:
            Why it was dropped; None if it was published.
        """
        payload = json.dumps({**json.loads(reply.to_bytes()), **about}).encode()
        retained = retain and not isinstance(reply, Refusal)
        try:
            with anyio.fail_after(PUBLISH_S):
                await self._mqtt.publish(topic, payload, qos=1, retain=retained)
        except TimeoutError:
            return f"an answer was dropped: the broker did not acknowledge it within {PUBLISH_S:.0f} s"
        except (PacketTooLarge, PublishRefused, DisconnectedTwice) as error:
            return f"an answer was dropped: {error}"
        return None
