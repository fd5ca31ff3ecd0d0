"""Figures are compared with their yardsticks; no test checks how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import app
from lab.speed.figure import Figure, Goal


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    figure = Figure("f", "ms", (2.0, 30.0, 4.0), Goal("ratio", 2), "y", (1.0, 10.0, 2.0))
    assert (figure.value, figure.yardstick_value, figure.ratio, figure.reached) == (4.0, 2.0, 2.0, True)


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal("value", 5), True),
        (Goal("value", 3), False),
        (Goal("ratio", 2, at_least=True), True),
        (Goal("ratio", 3, at_least=True), False),
        (Goal("difference", 2), True),
        (Goal("difference", 1), False),
        (None, None),
    ],
)
def test_a_goal_limits_the_value_the_ratio_or_the_difference(goal: Goal | None, reached: bool | None) -> None:
    assert Figure("f", "ms", (4.0,), goal, "y", (2.0,)).reached is reached


def run(out: Path, *only: str) -> dict[str, float]:
    """Returns the values of the figures of a quick run, by name."""
    names = [part for name in only for part in ("--only", name)]
    command = ["speed", "--quick", "--out", f"{out}", "--folder", f"{out.parent}", *names]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    results = json.loads(out.read_text())
    assert results["machine"]["cores"] > 0
    return {figure["name"]: figure["value"] for figure in results["figures"]}


def test_the_results_file_has_the_figures_and_the_machine(tmp_path: Path) -> None:
    values = run(tmp_path / "speed.json", "signals", "spool")
    assert list(values) == ["signals, 640x480 JPEG", "spool writes"]
    assert all(value > 0 for value in values.values())


def test_an_unknown_measurement_is_refused() -> None:
    result = CliRunner().invoke(app, ["speed", "--only", "nothing"])
    assert result.exit_code == 1
    assert "choose from" in result.output


@pytest.mark.slow
def test_the_agent_is_measured_beside_an_echo(tmp_path: Path) -> None:
    values = run(tmp_path / "speed.json", "agent", "start")
    assert values["CPU per question, 1 under way"] > 0
    assert values["throughput, 8 under way"] > 0
    assert values["exec to READY, CPU"] > 0
