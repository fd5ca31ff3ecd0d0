"""The text of every command is for people: rounded numbers, and nothing as Python writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.messages.topics import Topics
from agent.profile.loading import bundled
from agent.reporting.decision_log import DecisionLog
from scripted_agent import ScriptedAgent

TOPICS = Topics("d")
LONG = 0.1 + 0.2
PYTHON = re.compile(
    r"\b(None|True|False|nan|NaN|inf|Infinity)\b"
    r"|\d\.\d{7,}|\de[+-]?\d\d|\d{5,}\b(?! bytes)"
    r"|\[['\"\d]|['\"]\]|\{['\"]|\(['\"]|['\"]: "
    r"|\b(PosixPath|Tier|datetime|array|dict_|<object|<function)|\bnp\.|Traceback"
)
# Names, versions, addresses and fingerprints are not numbers.
NAMES = re.compile(r"127\.0\.0\.1:\d+|/\S+|\bport \d+|mqtts?://\S+|\b[0-9a-f]{32,}\b|\bq-\d+\b")
PREDICTION = {
    "latency_ms": 83.123456789,
    "latency_p95_ms": LONG,
    "energy_j": LONG,
    "quality": 0.9,
    "risk": LONG,
}
DECISION = {
    "arm": "local/swift@48#vlm",
    "reason": "board: sure enough (2% risk)",
    "propensity": 0.995,
    "arms": [
        {"arm": "local/swift@48#vlm", **PREDICTION, "score": LONG, "escalation": LONG},
        {"arm": "cloud/strong@64#gpu", **PREDICTION, "score": 1e-9, "blocked": "it would miss the deadline"},
        {"arm": "cloud/other@64#gpu", "score": None},
    ],
    "resting": "",
}
REPLIES = {
    "ask": {"answer": "yes", "tier": "local", "model": "swift", "confidence": LONG,
            "latency_ms": 83.123456789, "energy_j": LONG, "energy_source": None,
            "decision_id": "0f", "reason": "board: sure"},
    "route": {"decision": DECISION},
}  # fmt: skip
TELEMETRY = {
    "servers": [
        {"id": "vlm", "tier": "local", "healthy": True, "models": ["swift"], "link": None, "trust": None},
        {"id": "gpu", "tier": "cloud", "healthy": True, "link": {"rtt_ms": LONG, "uplink_mbps": 1 / 3}},
        {"id": "old", "tier": "cloud", "healthy": False, "problem": None, "link": {"rtt_ms": None}},
    ],
    "controller": {
        "questions": 1234567,
        "edge_share": 1 / 3,
        "kept": {"low": LONG, "estimate": 2 / 3, "high": 1.0000000001},
        "floor": 0.97,
        "price": 1e-9,
        "alarms": None,
    },
    "device": {
        "power_w": 1 / 3,
        "throttled": False,
        "power_mode": None,
        "rails_w": {"a": LONG},
        "list": [1, None],
    },
    "agreement": {
        "forms": {"text": {"compared": 123456, "mean_p_same": LONG, "judged_share": LONG}},
        "judge": {"models": {}, "calls": 12345, "tokens": 1234567, "energy_j": 1 / 3},
    },
    "queue": {"waiting": 12345, "capacity": 256, "in_work": 3, "workers": 8},
    "spool": {"open": 12345, "bytes": 1234567, "max_bytes": 268435456},
}
COMMANDS = {
    "status": [],
    "top": ["--once"],
    "log": [],
    "replay": ["--floor", "0.9"],
    "ask": ["IMAGE", "Is it on?"],
    "route": ["IMAGE", "Is it on?"],
    "discover": ["--seconds", "0.1"],
    "doctor": [],
    "validate": ["SITE"],
    "peer list": [],
    "profile list": [],
    "profile check": ["PROFILE"],
}
NOT_RUN = {
    "up": "runs until it is stopped",
    "run": "runs until it is stopped",
    "peer trust": "tests/agent/cli/test_peer.py",
    "peer distrust": "tests/agent/cli/test_peer.py",
    "profile new": "measures for minutes",
    "profile show": "prints YAML",
    "profile schema": "prints JSON",
}
WITHOUT_CONFIG = ("validate", "profile list", "profile check")


def run_of(number: int) -> dict[str, object]:
    """A decision record with numbers that are no round ones."""
    cloud = number % 3 == 0
    runs = [{"arm": "local/swift@48#vlm", "latency_ms": 83.123456789, "energy_j": LONG}]
    if cloud:
        runs.append({"arm": "cloud/strong@64#gpu", "latency_ms": 140.123456789, "energy_j": LONG})
    return {
        "time": 1764500000.123456,
        "query_id": f"q-{number}",
        "reason": "board: sure",
        "predictions": {
            "local/swift@48#vlm": {**PREDICTION, "score": LONG},
            "cloud/strong@64#gpu": {**PREDICTION, "quality": 1.0, "score": LONG},
        },
        "runs": runs,
        "chosen": 0,
        "agreement": [{"runs": [0, 1], "p_same": LONG}] if cloud else [],
        "follow_up": {"action": "audit" if cloud else "keep", "propensity": LONG, "p_differs": LONG},
        "floor": 0.97,
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_nothing_as_python_writes_it(
    command: str,
    site: Path,
    tmp_path: Path,
    scripted: ScriptedAgent,
    retain: Callable[[Mapping[str, bytes]], None],
) -> None:
    retain(
        {
            TOPICS.status: b"online",
            TOPICS.mode_state: b"auto",
            TOPICS.telemetry: json.dumps(TELEMETRY).encode(),
        }
    )
    scripted.reply = REPLIES.get(command, {})
    log = DecisionLog(tmp_path)
    for number in range(150):
        log.append(run_of(number))
    image, profile = tmp_path / "shot.jpg", tmp_path / "profile.yaml"
    image.write_bytes(b"\xff\xd8\xff")
    profile.write_text(f"name: mine\nextends: {next(iter(bundled()))}\n")
    names = {"IMAGE": str(image), "SITE": str(site), "PROFILE": str(profile)}
    words = [*command.split(), *(names.get(word, word) for word in COMMANDS[command])]
    config = [] if command in WITHOUT_CONFIG else ["--config", str(site)]
    done = CliRunner().invoke(inarvl, [*words, *config], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert done.output.strip()
    shown = NAMES.sub("", done.output)
    found = [(line, match.group()) for line in shown.splitlines() if (match := PYTHON.search(line))]
    assert found == []
    assert "\x1b" not in done.output


def test_every_command_is_in_one_of_the_two_lists() -> None:
    names = set()
    for command in inarvl.registered_commands:
        assert command.callback is not None
        names.add(command.name or command.callback.__name__)
    for group in inarvl.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            names.add(f"{group.name} {command.name or command.callback.__name__}")
    assert names == {*COMMANDS, *NOT_RUN}


@pytest.mark.parametrize(
    "text",
    [
        "kept None",
        "0.30000000000000004",
        "['a']",
        "{'low': 1}",
        "1e-09",
        "1234567",
        "Tier.LOCAL",
        "nan",
        "('a', 1)",
    ],
)
def test_the_pattern_finds_what_it_should(text: str) -> None:
    assert PYTHON.search(text)


def test_shell_completion_can_be_shown() -> None:
    done = CliRunner().invoke(inarvl, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert "--install-completion" in done.output
