"""`inarvl top` draws what an agent publishes, and ends cleanly; broker and terminal are real."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.cli.top_frame import frame
from agent.cli.top_state import SeenAnswer, TopState, shares
from agent.messages.mqtt_message import Message
from agent.messages.topics import Topics
from agent.reporting.decision_log import DecisionLog

TOPICS = Topics("d")
Retain = Callable[[Mapping[str, bytes]], None]
TELEMETRY = {
    "servers": [
        {"id": "vlm", "tier": "local", "healthy": True, "models": ["swift"], "link": None},
        {"id": "gpu-1", "tier": "cloud", "healthy": False, "problem": "it refuses the key", "models": []},
        {
            "id": "gpu-2",
            "tier": "cloud",
            "healthy": True,
            "models": ["strong"],
            "link": {"rtt_ms": 12.3456, "uplink_mbps": 0.1 + 0.2},
        },
    ],
    "controller": {
        "questions": 12345,
        "edge_share": 0.361,
        "escalated": 0.12,
        "audited": 0.03,
        "kept": {"low": 0.955, "estimate": 0.978, "high": 1.001},
        "floor": 0.97,
    },
    "device": {"power_w": 7.123, "cpu_load": 0.35, "temp_c": 54.21, "throttled": False},
    "queue": {"waiting": 2, "capacity": 256, "in_work": 3, "workers": 8},
    "spool": {"open": 5, "bytes": 1_250_000, "max_bytes": 256 * 2**20},
}


def shown(state: TopState, now: float = 0.0, **options: bool) -> str:
    screen = Console(width=80, file=open(os.devnull, "w"), record=True)  # noqa: PTH123, SIM115
    screen.print(frame(state, now, **options))
    return screen.export_text()


def online(retain: Retain, telemetry: object = TELEMETRY) -> None:
    payload = json.dumps(telemetry).encode()
    retain({TOPICS.status: b"online", TOPICS.mode_state: b"auto", TOPICS.telemetry: payload})


def answer(at: float, *, local: bool) -> SeenAnswer:
    return SeenAnswer(
        at, local, "board swift@48" if local else "cloud strong@64", 83.4, 0.1 + 0.2, "a reason"
    )


def test_a_frame_has_everything_and_fits_80_columns(retain: Retain, site: Path, tmp_path: Path) -> None:
    online(retain)
    DecisionLog(tmp_path).append(
        {"reason": "board: sure", "runs": [{"arm": "local/swift@48#vlm", "latency_ms": 83.4}], "chosen": 0}
    )
    run = CliRunner().invoke(inarvl, ["top", "--once", "--config", str(site)], env={"COLUMNS": "80"})
    assert run.exit_code == 0, run.output
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "\x1b" not in run.stdout
    for text in (
        "agent d: online, mode auto",
        "12,345 since the first, 36% on the board, 12% escalated, 3% audited",
        "97.8% (95.5 to 100.1%) of the cloud's; floor 97%: within the interval",
        "2 of 256 waiting, 3 of 8 workers busy; spool 5 (1.19 MiB of 256 MiB)",
        "power 7.12 W, cpu load 35%, temp 54.2 °C, throttled no",
        "it refuses the key",
        "12 ms       0.3 Mbit/s",
        "board swift@48        83 ms    -         board: sure",
    ):
        assert text in run.stdout


def test_the_share_of_the_board_is_drawn_over_time_with_and_without_block_characters() -> None:
    state = TopState(TOPICS)
    state.answers += [answer(5.0, local=True), answer(15.0, local=False), answer(16.0, local=True)]
    assert shares(state.answers, now=30.0, bins=4, bin_s=10.0) == [None, 1.0, 0.5, None]
    assert ".█▄. 10 min" in shown(state, 30.0)
    assert ".94. 10 min" in shown(state, 30.0, unicode=False)


@pytest.mark.parametrize(
    ("kept", "floor", "state"),
    [
        ({"low": 0.98, "estimate": 0.99, "high": 1.0}, 0.97, "floor 97%: held"),
        ({"low": 0.90, "estimate": 0.93, "high": 0.96}, 0.97, "floor 97%: missed"),
        (None, 0.97, "not known yet; the floor is 97%"),
    ],
)
def test_the_accuracy_is_compared_with_the_floor(kept: object, floor: float, state: str) -> None:
    seen = TopState(TOPICS)
    telemetry = {"servers": [], "controller": {"kept": kept, "floor": floor}}
    seen.add(_message(TOPICS.telemetry, telemetry), 0.0)
    assert state in shown(seen)


@pytest.mark.parametrize(
    "telemetry", [{}, {"servers": 7}, {"servers": [], "queue": 7, "spool": {"open": "x"}}, [1], "x"]
)
def test_telemetry_of_another_program_is_no_crash(telemetry: object) -> None:
    seen = TopState(TOPICS)
    for topic in (TOPICS.telemetry, TOPICS.decision, TOPICS.event, TOPICS.status):
        seen.add(_message(topic, telemetry), 0.0)
    assert "agent d" in shown(seen)


def test_an_agent_that_is_not_online_is_exit_status_1(site: Path) -> None:
    run = CliRunner().invoke(inarvl, ["top", "--once", "--wait-s", "0.5", "--config", str(site)])
    assert run.exit_code == 1
    assert "unknown to the broker" in run.stdout


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_in_a_terminal_it_redraws_until_a_key_ends_it(key: bytes, retain: Retain, site: Path) -> None:
    online(retain)
    master, terminal = pty.openpty()
    tool = Path(sys.executable).with_name("inarvl")
    running = subprocess.Popen(
        [str(tool), "top", "--config", str(site)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: _controlling(terminal),  # noqa: PLW1509 # Ctrl-C needs a controlling terminal
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "30"},
    )
    try:
        os.close(terminal)
        drawn = b""
        while b"12,345" not in drawn:
            drawn += os.read(master, 65536)
        os.write(master, key)
        while True:
            try:
                drawn += os.read(master, 65536)
            except OSError:  # the other side is closed
                break
        assert running.wait(60) == 0, drawn.decode(errors="replace")
    finally:
        running.kill()
        os.close(master)
    assert b"Traceback" not in drawn
    assert b"\x1b[?1049l" in drawn, "the former screen is back"


def _controlling(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _message(topic: str, content: object) -> Message:
    return Message(topic, json.dumps(content).encode(), False, False, None, None, {}, None, lambda: None)
