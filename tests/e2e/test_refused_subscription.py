"""An agent whose subscriptions the broker refuses is not online, and says why."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
import pytest
import yaml

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from agent.standalone.broker import DYNAMIC_SECURITY, Mosquitto, denying, free_port
from agent.standalone.service_process import ServiceProcess

pytestmark = pytest.mark.anyio
START_S = 120.0
TOPICS = Topics("d")


@pytest.mark.skipif(DYNAMIC_SECURITY is None, reason="mosquitto's plugin for dynamic security is missing")
async def test_it_is_offline_and_its_telemetry_has_the_reason(tmp_path: Path) -> None:
    readable = denying(tmp_path, readable=(TOPICS.status, TOPICS.telemetry))
    broker = Mosquitto(tmp_path / "broker", free_port(), extra=readable)
    config = tmp_path / "agent.yaml"
    url = f"mqtt://127.0.0.1:{broker.port}"
    site = {"device": "d", "broker": {"url": url}, "local": None, "state_dir": str(tmp_path)}
    config.write_text(yaml.safe_dump({**site, "discovery": {"zeroconf": False}}))
    tool = str(Path(sys.executable).with_name("inarvl"))
    broker.start()
    agent = ServiceProcess("agent", [tool, "run", "--config", str(config)], tmp_path)
    try:
        agent.wait_ready(START_S, lambda _status: None)
        options = MqttOptions("127.0.0.1", broker.port, "watching")
        watching = MqttConnection(options, subscriptions=(TOPICS.status, TOPICS.telemetry))
        retained: dict[str, bytes] = {}
        with anyio.fail_after(START_S):
            async with watching:
                async for message in watching.messages():
                    message.ack()
                    retained[message.topic] = message.payload
                    if len(retained) == 2:
                        break
    finally:
        agent.stop()
        broker.kill()
    assert retained[TOPICS.status] == b"offline"
    (problem,) = json.loads(retained[TOPICS.telemetry])["problems"]
    assert TOPICS.query in problem
    assert problem in (tmp_path / "agent.log").read_text()
