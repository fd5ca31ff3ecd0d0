"""`inarvl replay` reads the agent's decision log, and says what it cannot answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.reporting.decision_log import DecisionLog
from agent.reporting.logged_decision import BoardFirst, CloudFirst, read

BOARD, CLOUD = "local/swift@48#vlm", "cloud/strong@64#gpu-1"
PREDICTIONS = {
    BOARD: {"latency_ms": 60.0, "energy_j": 1.0, "quality": 0.9, "score": 1.0},
    CLOUD: {"latency_ms": 110.0, "energy_j": 0.1, "quality": 1.0, "score": 2.0},
}


def record(action: str, p_differs: float, propensity: float, differed: bool | None) -> dict[str, Any]:
    """A record of a question that the board was asked first; `differed` is None without an audit."""
    runs = [{"arm": BOARD, "latency_ms": 61.0, "energy_j": 1.0}]
    agreement = []
    if differed is not None:
        runs.append({"arm": CLOUD, "latency_ms": 120.0, "energy_j": 0.1})
        agreement.append({"runs": [0, 1], "p_same": float(not differed), "sure": True})
    return {
        "query_id": "q",
        "predictions": PREDICTIONS,
        "runs": runs,
        "chosen": int(action == "escalate"),
        "agreement": agreement,
        "follow_up": {"action": action, "propensity": propensity, "p_differs": p_differs},
        "floor": 0.97,
    }


def write_log(folder: Path, count: int, audited: float) -> None:
    log, rng = DecisionLog(folder), np.random.default_rng(0)
    for _ in range(count):
        risk = float(rng.beta(1, 4))
        differed = bool(rng.random() < risk)
        if risk > 0.3:
            log.append(record("escalate", risk, 1.0, differed))
        elif rng.random() < audited:
            log.append(record("audit", risk, audited, differed))
        else:
            log.append(record("keep", risk, 1.0 - audited, None))


def replay(site: Path, *words: str) -> Any:
    return CliRunner().invoke(inarvl, ["replay", *words, "--config", str(site)], env={"COLUMNS": "120"})


def test_another_floor_is_estimated_with_its_interval(site: Path, tmp_path: Path) -> None:
    write_log(tmp_path, 1500, audited=0.1)
    run = replay(site, "--floor", "0.92", "--json")
    assert run.exit_code == 0, run.output
    document = json.loads(run.stdout)
    assert (document["records"], document["used"], document["board_first"]) == (1500, 1500, 1500)
    assert document["other"]["problem"] is None
    kept = document["other"]["value"]["kept"]
    assert kept["low"] < 0.92 + 0.03
    assert kept["high"] > 0.92 - 0.03
    assert (
        document["other"]["value"]["board_share"]["estimate"]
        > (document["same"]["value"]["board_share"]["estimate"])
    )
    text = replay(site, "--floor", "0.92").stdout
    assert "what if: 92.0%" in text
    assert "1,500 of 1,500 answers can be used" in text


def test_a_log_without_audits_is_said_not_to_answer(site: Path, tmp_path: Path) -> None:
    write_log(tmp_path, 300, audited=0.001)
    run = replay(site, "--floor", "0.99")
    assert run.exit_code == 1
    assert "the log cannot answer this" in run.stdout
    assert json.loads(replay(site, "--floor", "0.99", "--json").stdout)["other"]["value"] is None


def test_another_file_may_be_replayed_and_must_exist(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    other.mkdir()
    write_log(other, 200, audited=0.5)
    assert replay(site, "--log", str(other / "decisions.jsonl"), "--floor", "0.9").exit_code == 0
    run = replay(site, "--log", str(tmp_path / "none"))
    assert run.exit_code == 1
    assert "cannot be read" in run.stderr


def test_records_are_read_as_what_they_are() -> None:
    kept = read(record("keep", 0.1, 0.9, None))
    assert isinstance(kept, BoardFirst)
    assert (kept.escalated, kept.cloud, kept.p_seen) == (False, None, pytest.approx(0.1))
    audited = read(record("audit", 0.1, 0.1, True))
    assert isinstance(audited, BoardFirst)
    assert (audited.differed, audited.p_seen, audited.escalated) == (1.0, 0.1, False)
    escalated = read(record("escalate", 0.6, 1.0, False))
    assert isinstance(escalated, BoardFirst)
    assert (escalated.differed, escalated.escalated) == (0.0, True)
    cloud = record("keep", 0.1, 1.0, None)
    cloud["runs"] = [{"arm": CLOUD, "latency_ms": 120.0, "energy_j": 0.1}]
    assert isinstance(read(cloud), CloudFirst)


@pytest.mark.parametrize(
    "change",
    [
        {"chosen": 5},
        {"runs": []},
        {"runs": [{"arm": BOARD, "failure": "timeout"}]},
        {"runs": [{"arm": BOARD, "latency_ms": 61.0}]},
        {"predictions": {}},
        {"predictions": {BOARD: PREDICTIONS[BOARD]}},
        {"follow_up": {}},
        {"follow_up": {"action": "keep", "propensity": 0}},
        {"follow_up": {"action": "escalate", "propensity": 1, "p_differs": 0.5}},
        {"agreement": [{"runs": [0, 1], "p_same": 7}]},
    ],
)
def test_a_record_that_says_too_little_is_not_used(change: dict[str, Any]) -> None:
    assert read({**record("keep", 0.1, 0.9, None), **change}) is None
