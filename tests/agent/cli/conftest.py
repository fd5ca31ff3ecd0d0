"""Fixtures: a site with a broker, and what an agent left on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from scripted_agent import ScriptedAgent


@pytest.fixture
def retain(broker: Any) -> Callable[[Mapping[str, bytes]], None]:
    """Returns a function that leaves messages on the broker, by their topics."""

    async def publish(messages: Mapping[str, bytes]) -> None:
        async with MqttConnection(MqttOptions("127.0.0.1", broker.port, "agent")) as connection:
            for topic, payload in messages.items():
                await connection.publish(topic, payload, qos=1, retain=True)

    return lambda messages: anyio.run(publish, messages)


@pytest.fixture
def site(broker: Any, tmp_path: Path) -> Path:
    """The site file of the agent `d`, which has no local model and looks for no peers."""
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"device: d\nlocal: null\nstate_dir: {tmp_path}\n"
        f"broker: {{url: 'mqtt://127.0.0.1:{broker.port}'}}\n"
        "discovery: {zeroconf: false}\n"
    )
    return file


@pytest.fixture
def scripted(broker: Any) -> Iterator[ScriptedAgent]:
    """An agent that answers what a test scripts."""
    agent = ScriptedAgent(broker.port)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(agent.running()):
        yield agent
