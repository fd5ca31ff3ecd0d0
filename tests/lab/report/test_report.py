"""The report of a small plan on a constructed trace: complete, cached, and marked as simulated."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from constructed import constructed_trace
from lab.cli import app
from lab.replay.decision_speed import DecisionSpeed
from lab.report import command
from lab.report.findings import Findings, run_plan
from lab.report.plan import ReportPlan
from lab.report.table import Table
from lab.trace.trace import write_trace

POLICIES = ("inarvl", "always-edge", "always-cloud", "random", "cascade-isotonic", "two-stage", "oracle")
pytestmark = pytest.mark.timeout(600)  # a hundred small replays, slow on a busy machine
SPEEDS = (DecisionSpeed("inarvl", 100.0, 50.0), DecisionSpeed("paretobandit", 60.0, 40.0))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "constructed.csv.gz"
    write_trace(path, constructed_trace(500))
    return path


@pytest.fixture(scope="module")
def findings(path: Path) -> Findings:
    plan = ReportPlan(
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
    cache = path.parent / "cache"
    first = run_plan(plan, cache, lambda done, total: None)
    before = {file.name: file.stat().st_mtime_ns for file in cache.iterdir()}
    again = run_plan(plan, cache, lambda done, total: None)
    assert before == {file.name: file.stat().st_mtime_ns for file in cache.iterdir()}  # no replay ran twice
    assert again.summaries.keys() == first.summaries.keys()
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
        "two-stage",
    }
    assert len(tables["drifts"].rows) == 3
    assert [(row[0].value, row[1].value) for row in tables["scripts"].rows] == [
        (script, policy) for script in ("steady", "content-swap") for policy in ("inarvl", "two-stage")
    ]
    assert [row[0].value for row in tables["floors"].rows] == [0.9, 0.94, 0.97, 0.98, 0.99, 0.995]
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


def test_the_cost_of_offline_policies_is_shown_at_each_floor(tables: dict[str, Table]) -> None:
    by_floor = {row[0].value: row for row in tables["floors"].rows}
    extra = {row[0].value: row[2].value for row in tables["equal-accuracy"].rows}["two-stage"]
    cell = by_floor[0.99][4]
    assert (1 + cell.value) * (1 + extra) == pytest.approx(1.0)
    assert cell.low <= cell.value <= cell.high


def test_a_csv_file_has_the_rows_of_its_table(tables: dict[str, Table]) -> None:
    for table in tables.values():
        rows = list(csv.reader(table.csv().splitlines()))
        assert len(rows) == len(table.rows) + 1
        assert len({len(row) for row in rows}) == 1


def test_the_command_writes_csv_files_and_a_page_that_says_simulated(
    path: Path, findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[ReportPlan] = []

    def run(plan: ReportPlan, cache: Path, progress: object) -> Findings:
        planned.append(plan)
        return findings

    monkeypatch.setattr(command, "run_plan", run)
    monkeypatch.setattr(command, "_speeds", lambda plan: SPEEDS)
    only = ("--only", "random", "--script", "rtt-x4", "--no-ablations")
    result = CliRunner().invoke(app, ["report", str(path), "--out", str(tmp_path), "--seeds", "2", *only])
    assert result.exit_code == 0, result.output
    assert planned[0].policies == (
        *("inarvl", "always-edge", "always-cloud", "random", "two-stage", "oracle"),
    )
    assert (planned[0].scripts, planned[0].ablations) == (("rtt-x4",), ())
    page = (tmp_path / "report.html").read_text()
    assert "SIMULATED" in page
    assert page.count("<svg") == 2
    assert (tmp_path / "goals.csv").exists()


def test_replay_prints_a_table(path: Path) -> None:
    result = CliRunner().invoke(
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
    assert result.exit_code == 0, result.output
    assert "100.0%" in result.output
    assert "simulated" in result.output


def test_the_error_for_an_unknown_profile_lists_the_known_ones(path: Path) -> None:
    result = CliRunner().invoke(app, ["replay", str(path), "--profile", "nonsense"])
    assert result.exit_code == 1
    assert "use one of jetson-wan" in result.output
