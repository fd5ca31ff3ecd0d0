"""`--json` prints one JSON document on standard output, whatever remote hosts sent; exit statuses stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.messages.topics import Topics
from agent.profile.loading import bundled
from inarvl import redaction

TOPICS = Topics("d")
Retain = Callable[[Mapping[str, bytes]], None]


def printed(*words: str) -> tuple[Any, int]:
    """Runs a command with --json; returns what it printed and its exit status."""
    run = CliRunner().invoke(inarvl, [*words, "--json"], env={"COLUMNS": "40"})
    assert run.stdout.isascii()
    return json.loads(run.stdout, parse_constant=pytest.fail), run.exit_code


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets the secrets of earlier tests: deep JSON is cut where any is known."""
    monkeypatch.setattr(redaction, "_forms", frozenset())
    monkeypatch.setattr(redaction, "_pattern", None)


def test_status_has_all_of_the_telemetry_without_secrets_or_what_json_lacks(
    retain: Retain, site: Path
) -> None:
    redaction.hide("hunter2-hunter2")
    telemetry = b'{"note": "\\u001b[2J hunter2-hunter2 \\ud800", "load": NaN, "power_w": 1.5, "servers": []}'
    retain({TOPICS.status: b"online", TOPICS.mode_state: b"auto", TOPICS.telemetry: telemetry})
    document, code = printed("status", "--config", str(site))
    assert code == 0
    note = f"\x1b[2J {redaction.SHOWN} \ud800"
    assert document == {
        "device": "d",
        "status": "online",
        "mode": "auto",
        "telemetry": {"note": note, "load": None, "power_w": 1.5, "servers": []},
    }


def test_status_prints_telemetry_however_deep_it_is_nested(retain: Retain, site: Path) -> None:
    telemetry = b'{"deep": ' + b"[" * 800 + b"]" * 800 + b"}"
    retain({TOPICS.status: b"online", TOPICS.mode_state: b"auto", TOPICS.telemetry: telemetry})
    document, code = printed("status", "--config", str(site))
    assert code == 0
    assert document["telemetry"] == json.loads(telemetry)


def test_status_of_an_unknown_agent_is_null_and_fails(site: Path) -> None:
    document, code = printed("status", "--config", str(site), "--wait-s", "0.5")
    assert code == 1
    assert document == {"device": "d", "status": None, "mode": None, "telemetry": None}


def test_an_error_is_text_on_standard_error_and_nothing_on_standard_output(tmp_path: Path) -> None:
    run = CliRunner().invoke(inarvl, ["status", "--json", "--config", str(tmp_path / "none.yaml")])
    assert run.exit_code == 1
    assert run.stdout == ""
    assert "none.yaml" in run.stderr


def test_discover_lists_nobody_and_fails(site: Path) -> None:
    assert printed("discover", "--seconds", "0.2", "--config", str(site)) == ([], 1)


def test_peers_are_listed(site: Path) -> None:
    assert printed("peer", "list", "--config", str(site)) == ([], 0)


def test_doctor_has_every_finding_and_the_worst_verdict(site: Path) -> None:
    document, code = printed("doctor", "--config", str(site))
    verdicts = [finding["verdict"] for finding in document["findings"]]
    order = ["ok", "warning", "failed"]
    assert document["verdict"] == max(verdicts, key=order.index)
    assert code == (document["verdict"] == "failed")
    assert {"profile", "sensors", "disk", "broker"} <= {finding["check"] for finding in document["findings"]}
    assert all(finding["remedy"] for finding in document["findings"] if finding["verdict"] != "ok")


def test_profiles_say_which_one_fits_this_board() -> None:
    document, code = printed("profile", "list")
    assert code == 0
    names = [profile["name"] for profile in document["profiles"]]
    assert set(bundled()) <= set(names)
    assert document["profile"] in names
    assert document["board"]["cores"] > 0
