"""Fixtures: what an agent left on the broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions


@pytest.fixture
def retain(broker: Any) -> Callable[[Mapping[str, bytes]], None]:
    """Returns a function that leaves messages on the broker, by their topics."""

    async def publish(messages: Mapping[str, bytes]) -> None:
        async with MqttConnection(MqttOptions("127.0.0.1", broker.port, "agent")) as connection:
            for topic, payload in messages.items():
                await connection.publish(topic, payload, qos=1, retain=True)

    return lambda messages: anyio.run(publish, messages)
