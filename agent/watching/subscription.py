"""The messages of one camera: its pictures, and the triggers of its questions.

1. Each camera has its own connection, so that a flood of pictures or a refused topic disturbs neither the
   agent nor another camera.
2. A message is acknowledged when it arrives: the newest picture replaces the one before.
3. A retained message is ignored: its age is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b

import anyio
import paho.mqtt.client as paho

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions

CHECK_S = 2.0
NAME_BYTES = 6


def camera_options(options: MqttOptions, camera: str, *, max_bytes: int) -> MqttOptions:
    """Returns the options of a camera's own connection.

    Args:
        options: of the agent's connection.
        max_bytes: size limit of a picture.
    """
    suffix = blake2b(camera.encode(), digest_size=NAME_BYTES).hexdigest()
    return replace(
        options,
        client_id=f"{options.client_id}-camera-{suffix}",
        keeps_session=False,
        maximum_packet_bytes=max(max_bytes + 2**16, 2**20),
    )


class Subscription:
    """Calls a function for each message on some topics.

    Args:
        receivers: each with its topic, which may have `+` as a level.
        problem: called when the connection fails, and with None when it works again.
    """

    def __init__(
        self,
        options: MqttOptions,
        receivers: Sequence[tuple[str, Callable[[bytes], None]]],
        problem: Callable[[str | None], None],
    ) -> None:
        self._options = options
        self._receivers = tuple(receivers)
        self._problem = problem

    async def run(self) -> None:
        """Receives messages until cancelled."""
        topics = tuple(dict.fromkeys(topic for topic, _ in self._receivers))
        connection = MqttConnection(self._options, live=topics)
        async with connection, anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, connection)
            async for message in connection.messages():
                message.ack()
                for topic, receive in self._receivers:
                    if paho.topic_matches_sub(topic, message.topic) and not message.oversized:
                        receive(message.payload)

    async def _watch(self, connection: MqttConnection) -> None:
        await connection.tried.wait()
        known: str | None = None
        while True:
            if (connection.problem is None) != (known is None):
                self._problem(connection.problem)
            known = connection.problem
            await anyio.sleep(CHECK_S)
