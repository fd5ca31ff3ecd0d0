"""`inarvl-bench report`: runs all replays on one trace and writes a page and CSV files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from inarvl.terminal import explained
from lab.outcomes.outcome_curve import curve_of_outcomes
from lab.replay.ablations import ABLATIONS
from lab.replay.decision_speed import DecisionSpeed, measure_speed
from lab.replay.lineup import LINEUP, entry_named
from lab.replay.runner import ReplayTask, dataset_of, inputs_of
from lab.report.ablations_table import ablations_table
from lab.report.drift_tables import drift_table, rivals_drift_table
from lab.report.findings import Findings, run_plan
from lab.report.floors_table import floors_table
from lab.report.goals import goals_table
from lab.report.intervals import Intervals
from lab.report.outcomes_table import outcomes_table
from lab.report.page import write_report
from lab.report.plan import ReportPlan
from lab.report.policy_tables import (
    equal_accuracies,
    equal_accuracy_table,
    gap_recovered_table,
    lineup_table,
)
from lab.report.regimes_table import regimes_table
from lab.report.scripts_table import scripts_table
from lab.report.table import Table, number, text
from lab.sim.cost_profile import profile_named
from lab.sim.drift_scripts import DRIFTS, script_named

NEEDED = ("inarvl", "always-edge", "always-cloud", "two-stage", "oracle")


def report_command(
    trace: Annotated[Path, typer.Argument(help="A recorded trace (.csv.gz).", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for the page and the CSV files.")] = Path("report"),
    seeds: Annotated[
        int, typer.Option(min=2, help="Replays of each policy at each knob value.")
    ] = ReportPlan.seeds,
    count: Annotated[
        int, typer.Option(min=200, help="Questions in a replay without drift.")
    ] = ReportPlan.count,
    drift_count: Annotated[
        int, typer.Option(min=300, help="Questions in a replay with drift.")
    ] = ReportPlan.drift_count,
    floor: Annotated[
        float, typer.Option(min=0.5, max=1, help="The controller's accuracy floor.")
    ] = ReportPlan.floor,
    profile: Annotated[
        str, typer.Option(help="Cost profile of all replays but the regimes.")
    ] = ReportPlan.profile,
    outcomes: Annotated[
        Path | None,
        typer.Option(help="Folder with outcomes.csv and images/: also route between two published models."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this policy and those that every report needs; repeatable.")
    ] = None,
    script: Annotated[list[str] | None, typer.Option(help="Only this drift script; repeatable.")] = None,
    ablations: Annotated[bool, typer.Option(help="Run the ablations of the controller.")] = True,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")
    ] = None,
) -> None:
    """Run every policy, drift, regime and ablation, and write a report.

    An interrupted report continues when the same command is run again.
    """
    plan = ReportPlan(
        trace,
        seeds,
        count,
        drift_count,
        floor,
        profile,
        processes,
        policies=tuple(name for name in LINEUP if not only or name in (*only, *NEEDED)),
        scripts=tuple(name for name in DRIFTS if not script or name in script),
        ablations=tuple(ABLATIONS) if ablations else (),
    )
    cache = out / ".unfinished"
    console = Console(stderr=True)
    with explained("inarvl-bench"):
        # matplotlib belongs to an extra that the other commands do not need.
        from lab.report.plots import cost_accuracy_plot, drift_plots

        profile_named(profile)
        for name in only or ():
            entry_named(name)
        for name in script or ():
            script_named(name)
        speeds = _speeds(plan)
        columns = (*Progress.get_default_columns()[:3], TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            replays = bar.add_task("Replaying", total=None)
            findings = run_plan(
                plan, cache, lambda done, total: bar.update(replays, completed=done, total=total)
            )
        tables = tables_of(findings, speeds)
        if outcomes is not None:
            tables.append(
                outcomes_table(curve_of_outcomes(outcomes, seeds=min(seeds, 5), processes=processes))
            )
        intervals = Intervals(findings)
        plots = [cost_accuracy_plot(findings, intervals), *drift_plots(findings)]
        page = write_report(out, f"inarvl on {trace.name}", _facts(plan), tables, plots)
    shutil.rmtree(cache, ignore_errors=True)
    typer.echo(page)


def _speeds(plan: ReportPlan) -> tuple[DecisionSpeed, DecisionSpeed]:
    inputs = inputs_of(ReplayTask(plan.trace, "inarvl", plan.floor, 0, plan.profile, count=2000))
    return measure_speed(LINEUP["inarvl"].make(inputs), inputs)


def tables_of(findings: Findings, speeds: tuple[DecisionSpeed, DecisionSpeed]) -> list[Table]:
    """Returns all tables of a report."""
    intervals = Intervals(findings)
    comparisons = equal_accuracies(findings, intervals)
    return [
        goals_table(findings, intervals, comparisons, speeds),
        lineup_table(findings, intervals),
        equal_accuracy_table(comparisons),
        gap_recovered_table(findings),
        floors_table(findings, intervals),
        scripts_table(findings),
        drift_table(findings),
        rivals_drift_table(findings),
        regimes_table(findings),
        ablations_table(findings),
        _speed_table(speeds),
        _arms_table(findings.plan),
        _policies_table(),
    ]


def _speed_table(speeds: tuple[DecisionSpeed, DecisionSpeed]) -> Table:
    return Table(
        name="speed",
        title="Time to decide and to learn",
        note=(
            "Microseconds of CPU time per question with all arms: medians over blocks, measured alternately "
            "in one process on the machine that made this report. Compare them only with each other."
        ),
        columns=("policy", "decide us", "learn us", "both us"),
        rows=tuple(
            (
                text(speed.policy),
                number(speed.decide_us, "{:.1f}"),
                number(speed.learn_us, "{:.1f}"),
                number(speed.total_us, "{:.1f}"),
            )
            for speed in speeds
        ),
    )


def _arms_table(plan: ReportPlan) -> Table:
    tune, reported = (dataset_of(plan.trace, plan.profile, half) for half in ("tune", "report"))
    return Table(
        name="arms",
        title="The arms",
        note=(
            "Accuracies are recorded; computing times and payloads are those of the cost profile (simulated)."
        ),
        columns=("arm", "right, tuning half", "right, reported half", "computing ms", "payload kB"),
        rows=tuple(
            (
                text(arm.skill),
                number(float(tune.correct[:, column].mean()), "{:.1%}"),
                number(float(reported.correct[:, column].mean()), "{:.1%}"),
                number(float(reported.compute_ms[:, column].mean()), "{:.0f}"),
                number(float(reported.payload_bytes[:, column].mean()) / 1e3, "{:.0f}"),
            )
            for column, arm in enumerate(reported.arms)
        ),
    )


def _policies_table() -> Table:
    return Table(
        name="policies",
        title="The policies",
        note="Each policy and its knob; docs/evaluation.md has the details.",
        columns=("policy", "learns", "what it is", "knobs, the default first"),
        rows=tuple(
            (text(e.name), text(e.learns), text(e.about), text(", ".join(f"{knob:g}" for knob in e.knobs)))
            for e in LINEUP.values()
        ),
    )


def _facts(plan: ReportPlan) -> list[str]:
    return [
        "Latency, energy and payloads are SIMULATED under a stated cost profile; answers, confidences "
        "and signals are recorded.",
        f"Cost profile {plan.profile}; the controller's floor {plan.floor:.0%}; {plan.seeds} seeds of "
        f"{plan.count} questions, with drift {plan.drift_count}.",
        "Policies are tuned on one half of the trace and reported on the other; a group of questions is "
        "never split.",
        "Every policy gets the same questions, arrival times and noise. The controller receives delayed "
        "feedback for a tenth of its answers; online rivals receive immediate feedback for all of theirs.",
        "Intervals are 95% intervals of a paired bootstrap over seeds and groups of questions.",
    ]
