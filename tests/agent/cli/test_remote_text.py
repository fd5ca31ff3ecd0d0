"""`status` and `ask` show what remote hosts sent, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics

TOPICS = Topics("d")
HOSTILE = "m[/x]\x1b[2J"
TELEMETRY = {
    "problems": [f"the broker {HOSTILE}"],
    "servers": [
        {"id": HOSTILE, "tier": "cloud", "healthy": True, "models": [HOSTILE], "link": None},
        {"id": "down", "tier": "cloud", "healthy": False, "models": [], "link": None, "problem": HOSTILE},
    ],
    "controller": {"note": HOSTILE},
    "device": {},
}


@pytest.fixture
def site(broker: Any, tmp_path: Path) -> Path:
    file = tmp_path / "agent.yaml"
    file.write_text(f"device: d\nbroker: {{url: 'mqtt://127.0.0.1:{broker.port}'}}\n")
    return file


def retain(port: int, messages: dict[str, bytes]) -> None:
    async def publish() -> None:
        async with MqttConnection(MqttOptions("127.0.0.1", port, "agent")) as connection:
            for topic, payload in messages.items():
                await connection.publish(topic, payload, qos=1, retain=True)

    anyio.run(publish)


def test_status_survives_markup_and_escapes_control_characters(broker: Any, site: Path) -> None:
    telemetry = json.dumps(TELEMETRY).encode()
    retain(
        broker.port, {TOPICS.status: b"online", TOPICS.mode_state: b"auto[/x]", TOPICS.telemetry: telemetry}
    )
    run = CliRunner().invoke(inarvl, ["status", "--config", str(site)], env={"COLUMNS": "200"})
    assert run.exit_code == 0, run.output
    assert "\x1b" not in run.output
    for text in ("problem: the broker m[/x]", "no: m[/x]", r"m[/x]\x1b[2J", "mode: auto[/x]"):
        assert text in run.output
