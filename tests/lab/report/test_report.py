"""The report of a tiny study on a constructed trace: whole, reproducible, and honest about what it is."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from constructed import constructed_trace
from lab.cli import app
from lab.replay.timing import Speed
from lab.report import command
from lab.report.findings import Findings, Plan, run_study
from lab.report.table import Table
from lab.trace import trace

POLICIES = ("inarvl", "always-edge", "always-cloud", "random", "cascade-isotonic", "oracle")
pytestmark = pytest.mark.timeout(600)  # a hundred small replays, slow on a busy machine
SPEEDS = (Speed("inarvl", 100.0, 50.0), Speed("paretobandit", 60.0, 40.0))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "constructed.csv.gz"
    trace.write(path, constructed_trace(500))
    return path


@pytest.fixture(scope="module")
def findings(path: Path) -> Findings:
    plan = Plan(
        path,
        seeds=2,
        count=80,
        drift_count=240,
        processes=1,
        policies=POLICIES,
        scripts=("content-swap",),
        regimes=("fast-lan",),
        ablations=("no confidence", "audits 0%"),
    )
    kept = path.parent / "kept"
    found = run_study(plan, kept, lambda done, total: None)
    before = {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}
    again = run_study(plan, kept, lambda done, total: None)
    assert before == {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}  # nothing ran twice
    assert again.summaries.keys() == found.summaries.keys()
    return again


@pytest.fixture(scope="module")
def tables(findings: Findings) -> dict[str, Table]:
    return {table.name: table for table in command.tables_of(findings, SPEEDS)}


def test_every_table_has_its_rows(tables: dict[str, Table]) -> None:
    assert [row[0].value for row in tables["lineup"].rows] == list(POLICIES)
    assert {row[0].value for row in tables["equal-accuracy"].rows} == {
        "always-cloud",
        "random",
        "cascade-isotonic",
    }
    assert len(tables["drifts"].rows) == 3
    assert len(tables["ablations"].rows) == 3
    assert len(tables["goals"].rows) == 12


def test_figures_agree_between_tables(tables: dict[str, Table], findings: Findings) -> None:
    kept = {row[0].value: row[4] for row in tables["lineup"].rows}
    assert kept["always-cloud"].value == 1.0
    goal = tables["goals"].rows[0]
    assert goal[3].value == kept["inarvl"].value
    assert goal[4].value == (kept["inarvl"].value >= 0.98)
    assert kept["inarvl"].low <= kept["inarvl"].value <= kept["inarvl"].high
    ratio = next(row for row in tables["goals"].rows if "ParetoBandit" in row[0].shown)
    assert ratio[3].value == 1.5


def test_csv_holds_what_the_page_shows(tables: dict[str, Table]) -> None:
    for table in tables.values():
        rows = list(csv.reader(table.csv().splitlines()))
        assert len(rows) == len(table.rows) + 1
        assert len({len(row) for row in rows}) == 1


def test_the_command_writes_a_page_and_csv_that_say_simulated(
    path: Path, findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[Plan] = []

    def study(plan: Plan, kept: Path, progress: object) -> Findings:
        planned.append(plan)
        return findings

    monkeypatch.setattr(command, "run_study", study)
    monkeypatch.setattr(command, "_speeds", lambda plan: SPEEDS)
    only = ("--only", "random", "--script", "rtt-x4", "--no-ablations")
    told = CliRunner().invoke(app, ["report", str(path), "--out", str(tmp_path), "--seeds", "2", *only])
    assert told.exit_code == 0, told.output
    assert planned[0].policies == ("inarvl", "always-edge", "always-cloud", "random", "oracle")
    assert (planned[0].scripts, planned[0].ablations) == (("rtt-x4",), ())
    page = (tmp_path / "report.html").read_text()
    assert "SIMULATED" in page
    assert page.count("<svg") == 2
    assert (tmp_path / "goals.csv").exists()


def test_replay_prints_its_table(path: Path) -> None:
    told = CliRunner().invoke(
        app,
        [
            "replay",
            str(path),
            "--policy",
            "always-cloud",
            "--seeds",
            "1",
            "--count",
            "50",
            "--processes",
            "1",
        ],
    )
    assert told.exit_code == 0, told.output
    assert "100.0%" in told.output
    assert "simulated" in told.output


def test_a_wrong_name_is_explained(path: Path) -> None:
    told = CliRunner().invoke(app, ["replay", str(path), "--profile", "nonsense"])
    assert told.exit_code == 1
    assert "use one of jetson-wan" in told.output
