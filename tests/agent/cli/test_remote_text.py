"""Console commands show what remote hosts sent, whatever it is, and leave nothing on the broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent import client
from agent.cli.main import app as inarvl
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from agent.standalone.broker import free_port

TOPICS = Topics("d")
Retain = Callable[[Mapping[str, bytes]], None]
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


def test_status_survives_markup_and_escapes_control_characters(retain: Retain, site: Path) -> None:
    telemetry = json.dumps(TELEMETRY).encode()
    retain({TOPICS.status: b"online", TOPICS.mode_state: b"auto[/x]", TOPICS.telemetry: telemetry})
    run = CliRunner().invoke(inarvl, ["status", "--config", str(site)], env={"COLUMNS": "200"})
    assert run.exit_code == 0, run.output
    assert "\x1b" not in run.output
    for text in ("problem: the broker m[/x]", "no: m[/x]", r"m[/x]\x1b[2J", "mode: auto[/x]"):
        assert text in run.output


def test_a_console_command_keeps_no_session(broker: Any, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = []

    class Recorded(MqttConnection):
        def __init__(self, options: MqttOptions, **rest: Any) -> None:
            sessions.append(options.keeps_session)
            super().__init__(options, **rest)

    monkeypatch.setattr(client, "MqttConnection", Recorded)
    CliRunner().invoke(inarvl, ["status", "--config", str(site), "--wait-s", "0.5"])
    assert sessions == [False]


def test_a_broker_that_is_not_there_is_reported_without_waiting(tmp_path: Path) -> None:
    site = tmp_path / "agent.yaml"
    site.write_text(f"device: d\nbroker: {{url: 'mqtt://127.0.0.1:{free_port()}'}}\n")
    run = CliRunner().invoke(inarvl, ["status", "--config", str(site), "--wait-s", "100000"])
    assert run.exit_code == 1
    assert "nothing listens at this address" in run.output
