"""`inarvl log` prints what happens, one line each; the broker is real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from typer.testing import CliRunner

from agent.cli.log_line import entry, line
from agent.cli.main import app as inarvl
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from agent.reporting.decision_log import DecisionLog

TOPICS = Topics("d")
DECISION = {
    "time": 1764500000.0,
    "query_id": "q-1",
    "reason": "board: sure enough (2% risk)",
    "runs": [
        {"arm": "local/swift@48#vlm", "latency_ms": 83.1, "energy_j": 0.9},
        {"arm": "cloud/strong@64#gpu-1", "latency_ms": 140.4, "energy_j": 0.1},
    ],
    "chosen": 0,
    "agreement": [{"runs": [0, 1], "p_same": 0.97, "sure": True}],
}


def message(topic: str, content: object) -> Message:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Message(topic, payload, False, False, None, None, {}, None, lambda: None)


@pytest.mark.parametrize(
    ("topic", "content", "printed"),
    [
        (
            TOPICS.decision,
            DECISION,
            "decision q-1: board swift@48 83 ms (sent), cloud strong@64 140 ms; 97% likely the same answer; "
            "board: sure enough (2% risk)",
        ),
        (
            TOPICS.result("gate"),
            {"id": "q-1", "answer": "yes", "tier": "local", "model": "swift", "confidence": 0.98,
             "latency_ms": 83.4, "energy_j": 0.1 + 0.2, "reason": "board: sure"},
            "answer   gate q-1: yes (board swift, 98% sure, 83 ms, 0.3 J) board: sure",
        ),
        (
            TOPICS.result("gate"),
            {"error": {"code": "busy", "message": "ask later"}},
            "error    gate -: busy: ask later",
        ),
        (
            TOPICS.query_of("gate"),
            {"id": "q-2", "question": "Is it on?", "image": "bm8=", "pin": "local", "answer": "yes_no"},
            "query    gate q-2: Is it on?, pinned to the board, as yes_no (91 bytes)",
        ),
        (TOPICS.query, b"\x00", "query    -: invalid: bad_json (1 byte)"),
        (TOPICS.event, {"event": "drift", "message": "slower"}, "event    drift slower"),
        (TOPICS.decision, b"[1]", "other    inarvl/d/decision 3"),
        (TOPICS.decision, {"runs": 7, "chosen": "x", "agreement": None}, "decision -: ; "),
    ],
)  # fmt: skip
def test_each_message_is_one_line(topic: str, content: object, printed: str) -> None:
    assert line(entry(message(topic, content), TOPICS), 0.0)[9:] == printed


def test_the_latest_decisions_are_read_from_the_disk(site: Path, tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    for number in range(5):
        log.append({**DECISION, "query_id": f"q-{number}"})
    run = CliRunner().invoke(inarvl, ["log", "-n", "2", "--config", str(site)])
    assert run.exit_code == 0, run.output
    assert [text.split()[2] for text in run.stdout.splitlines()] == ["q-3:", "q-4:"]


def test_without_a_decision_log_it_says_so(site: Path) -> None:
    run = CliRunner().invoke(inarvl, ["log", "--config", str(site)])
    assert run.exit_code == 1
    assert "has no decision log" in run.stderr


@contextmanager
def following(site: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    tool = Path(sys.executable).with_name("inarvl")
    command = [str(tool), "log", "--follow", *words, "--config", str(site)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_it_follows_until_interrupted(site: Path, broker: Any) -> None:
    async def publish_until_printed(running: subprocess.Popen[str]) -> dict[str, Any]:
        """Publishes until the command has subscribed, and returns the first line."""
        options = MqttOptions("127.0.0.1", broker.port, "agent")
        async with MqttConnection(options) as connection, anyio.create_task_group() as tasks:

            async def publish() -> None:
                while True:
                    await connection.publish(TOPICS.decision, json.dumps(DECISION).encode(), qos=1)
                    await anyio.sleep(0.2)

            tasks.start_soon(publish)
            assert running.stdout is not None
            first: str = await to_thread.run_sync(running.stdout.readline)
            tasks.cancel_scope.cancel()
        found: dict[str, Any] = json.loads(first)
        return found

    with following(site, "--json") as running:
        found = anyio.run(publish_until_printed, running)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        errors = running.stderr.read()
        assert running.wait(60) == 0, errors
    assert (found["kind"], found["query_id"]) == ("decision", "q-1")
    assert "Traceback" not in errors
