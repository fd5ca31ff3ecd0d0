"""Figures of replays with a change, mixtures in hindsight, and the table of several scripts."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from constructed import constructed_trace
from lab.cli import app
from lab.replay import replay_cache
from lab.replay.compact_table import compact_table
from lab.replay.comparison import ComparedPolicy, Comparison, compare
from lab.replay.drift_phases import DriftReplays
from lab.replay.hindsight import fixed_cost, switching_cost
from lab.replay.replay_cache import ReplayCache
from lab.replay.runner import ReplayTask, inputs_of, run_replay
from lab.replay.script_figures import script_figures
from lab.sim.drift_scripts import DRIFTS, STEADY
from lab.trace.trace import write_trace

COUNT, CHANGE = 1800, 900
SCRIPT = DRIFTS["board-fault"]


def replays_of(
    correct: np.ndarray,
    *,
    cost: float = 1.0,
    alarms: tuple[int, ...] = (),
    estimates: tuple[object, ...] = (),
) -> DriftReplays:
    """One seed in which the reference is always right; the second half is the second phase."""
    count = len(correct)
    alarmed = np.isin(np.arange(count), alarms).astype(float)[None]
    zeros = np.zeros((1, count))
    return DriftReplays(
        cost=np.full((1, count), cost),
        correct=correct.astype(float)[None],
        reference=np.ones((1, count)),
        on_board=zeros,
        alarms=alarmed,
        phase=np.repeat([0, 1], count // 2),
        quality_alarms=alarmed,
        newcomer=zeros,
        estimates=(np.array(estimates, dtype=float).reshape(-1, 5),),
    )


def faulty_until(back: int) -> np.ndarray:
    """Every fourth answer after the change is wrong, until `back` questions after it."""
    number = np.arange(COUNT)
    return ~((number >= CHANGE) & (number < CHANGE + back) & (number % 4 == 0))


def test_lost_answers_alarm_and_recovery_are_counted_from_the_change() -> None:
    figures = script_figures(replays_of(faulty_until(300), alarms=(100, CHANGE + 40)), SCRIPT, 0.99)
    assert (figures.lost, figures.allowed) == (75, pytest.approx(9.0))
    assert (figures.alarm, figures.alarmed, figures.alarms) == (40, 1.0, 2)
    # A window of 200 questions may contain two wrong answers.
    assert figures.back == pytest.approx(300 - 7, abs=4)


def test_questions_without_a_choice_are_not_lost() -> None:
    replays = replays_of(faulty_until(300))
    figures = script_figures(replays, DRIFTS["cloud-outage"], 0.99)
    assert (figures.lost, figures.kept, figures.back) == (0, 1.0, 0.0)
    assert figures.accuracy == pytest.approx(1 - 75 / COUNT)


def test_a_policy_that_never_notices_is_never_back() -> None:
    figures = script_figures(replays_of(faulty_until(CHANGE)), SCRIPT, 0.99)
    assert math.isnan(figures.alarm)
    assert figures.alarmed == 0
    assert math.isnan(figures.back)
    assert figures.held < 0.6


def test_without_a_change_nothing_is_counted_from_it() -> None:
    for script in (STEADY, DRIFTS["bursts"]):
        figures = script_figures(replays_of(faulty_until(300)), script, 0.99)
        assert math.isnan(figures.alarmed)
        assert math.isnan(figures.back)
        assert figures.lost == 75


def test_an_interval_is_checked_against_what_was_kept_in_its_window() -> None:
    in_window = (CHANGE + 400, 0.7, 0.75, 0.8, 400)  # of the last 400 questions, 300 are right
    too_high = (CHANGE + 400, 0.9, 0.95, 1.0, 400)
    too_early = (100, 0.0, 0.0, 0.1, 100)
    figures = script_figures(
        replays_of(faulty_until(400), estimates=(in_window, too_high, too_early)), SCRIPT, 0.99
    )
    assert figures.coverage == 0.5
    assert figures.bias == pytest.approx(0.1)


def test_older_questions_have_less_weight_without_a_window() -> None:
    lately = script_figures(
        replays_of(faulty_until(CHANGE), estimates=((COUNT, 0.0, 0.0, 1.0, math.nan),)), SCRIPT, 0.99
    )
    assert 0.75 < -lately.bias < 0.875  # the plain mean of all questions is 0.875


def test_a_mixture_that_may_differ_between_phases_costs_less() -> None:
    half = np.arange(COUNT) < CHANGE
    first, second, both = half.copy(), ~half, np.ones(COUNT, dtype=bool)
    candidates = [replays_of(first, cost=1.0), replays_of(second, cost=1.0), replays_of(both, cost=3.0)]
    assert fixed_cost(candidates, 0.75) == pytest.approx(2.0)
    assert switching_cost(candidates, 0.75) == pytest.approx(1.0)
    assert switching_cost(candidates, 1.0) == pytest.approx(1.0)
    assert fixed_cost(candidates, 1.0) == pytest.approx(3.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "constructed.csv.gz"
    write_trace(path, constructed_trace(500))
    return path


@pytest.fixture(scope="module")
def rows(path: Path) -> list[ComparedPolicy]:
    comparison = Comparison(
        path, ("inarvl", "two-stage"), ("new-cloud-model", "worse-cloud"), (0.9,), seeds=2, count=240
    )
    return compare(comparison, ReplayCache.of(path.parent / "cache", path), processes=1)


def test_each_script_has_a_row_for_each_policy(rows: list[ComparedPolicy]) -> None:
    assert [(row.script, row.policy) for row in rows] == [
        (script, policy)
        for script in ("new-cloud-model", "worse-cloud")
        for policy in ("inarvl", "two-stage")
    ]
    assert all(math.isnan(row.against_rivals) == (row.policy == "two-stage") for row in rows)
    assert all(row.against_switching >= -1e-9 for row in rows if row.policy == "two-stage")
    shown = compact_table(rows, "title")
    assert shown.row_count == 4


def test_no_policy_knows_the_new_model_and_rivals_do_not_use_it(path: Path) -> None:
    task = ReplayTask(path, "two-stage", 0.9, 0, script="new-cloud-model", count=120)
    inputs = inputs_of(task)
    known, existing = inputs.tuning.arms, inputs.workload.dataset.arms
    assert existing[: len(known)] == known
    assert {arm.model for arm in existing[len(known) :]} == {"cloud-large"}
    assert not run_replay(task).newcomer.any()
    assert run_replay(replace(task, policy="oracle", knob=0.0, count=400)).newcomer.any()


def test_finished_replays_are_used_again_until_their_code_changes(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(task: ReplayTask) -> object:
        ran.append(task.policy)
        return run_replay(task)

    monkeypatch.setattr(replay_cache, "run_replay", run)
    tasks = [ReplayTask(path, policy, 0.9, 0, count=60) for policy in ("inarvl-cold", "random")]
    cache = ReplayCache.of(tmp_path, path)
    first = list(cache.run(tasks, processes=1))
    again = list(cache.run(tasks, processes=1))
    assert ran == ["inarvl-cold", "random"]
    assert [replay.summary.cost for replay in again] == [replay.summary.cost for replay in first]
    changed = replace(cache, ours="another digest")
    assert next(iter(changed.run(tasks, processes=1))).summary.cost == first[0].summary.cost
    assert ran == ["inarvl-cold", "random", "inarvl-cold"]


def test_the_tuning_half_is_fitted_on_a_part_and_replayed_on_the_other(path: Path) -> None:
    reported = inputs_of(ReplayTask(path, "random", 0.5, 0, count=20))
    tuning = inputs_of(ReplayTask(path, "random", 0.5, 0, count=20, half="tune"))
    groups = [set(inputs.tuning.groups) for inputs in (reported, tuning)]
    replayed = [set(inputs.workload.dataset.groups) for inputs in (reported, tuning)]
    assert groups[1] | replayed[1] == groups[0]
    assert not groups[1] & replayed[1]
    assert not groups[0] & replayed[0]


def test_the_command_prints_one_table_for_all_scripts(path: Path, tmp_path: Path) -> None:
    options = ["--policy", "random", "--script", "steady", "--script", "hot", "--floor", "0.9"]
    small = ["--seeds", "1", "--count", "60", "--processes", "2", "--cache", str(tmp_path)]
    result = CliRunner().invoke(app, ["replay", str(path), *options, *small, "--half", "tuning"])
    assert result.exit_code == 0, result.output
    assert "tuning half" in result.output
    assert result.output.count("random") == 2
