"""`inarvl-bench replay`: replays policies on a trace and prints a table of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.replay.lineup import LINEUP, entry_named
from lab.replay.runner import ReplayTask, digest_of, run_tasks, summary_of
from lab.replay.summary import Summary
from lab.sim.cost_profile import PROFILES, profile_named
from lab.sim.drift_scripts import SCRIPTS, script_named

SHOWN = (
    ("edge", "edge_share", "{:.1%}"),
    ("kept", "kept", "{:.1%}"),
    ("latency ms", "latency_ms", "{:.0f}"),
    ("p95 ms", "p95_ms", "{:.0f}"),
    ("board J", "device_j", "{:.2f}"),
    ("cloud J", "cloud_j", "{:.0f}"),
    ("cost", "cost", "{:.3f}"),
    ("calls", "calls", "{:.2f}"),
    ("escalated", "escalated", "{:.1%}"),
    ("audited", "audited", "{:.1%}"),
    ("alarms", "alarms", "{:.1f}"),
    ("route AUROC", "route_auroc", "{:.2f}"),
    ("answer AUROC", "answer_auroc", "{:.2f}"),
)


def replay_command(
    trace: Annotated[Path, typer.Argument(help="A recorded trace (.csv.gz).", exists=True, dir_okay=False)],
    policy: Annotated[
        list[str] | None,
        typer.Option(help=f"Policy to replay; repeatable. Default: all of {', '.join(LINEUP)}."),
    ] = None,
    knob: Annotated[
        float | None, typer.Option(help="Knob of the policies. Default: each policy's own.")
    ] = None,
    profile: Annotated[str, typer.Option(help=f"Cost profile: {', '.join(PROFILES)}.")] = "jetson-wan",
    script: Annotated[str, typer.Option(help=f"Drift script: {', '.join(SCRIPTS)}.")] = "steady",
    seeds: Annotated[int, typer.Option(min=1, help="Replays of each policy.")] = 3,
    count: Annotated[int, typer.Option(min=10, help="Questions in a replay.")] = 3000,
    tune: Annotated[bool, typer.Option(help="Replay the tuning half instead of the reported half.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")
    ] = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Print the SHA-256 of each replay instead of the table.")
    ] = False,
) -> None:
    """Replay policies on a trace under a cost profile, and print their figures (simulated)."""
    with explained("inarvl-bench"):
        profile_named(profile)
        script_named(script)
        names = [entry_named(name).name for name in policy or LINEUP]
        tasks = [
            ReplayTask(
                trace=trace,
                policy=name,
                knob=entry_named(name).knobs[0] if knob is None else knob,
                seed=seed,
                profile=profile,
                script=script,
                count=count,
                half="tune" if tune else "report",
            )
            for name in names
            for seed in range(seeds)
        ]
        if digest:
            for task, value in zip(tasks, run_tasks(tasks, digest_of, processes=processes), strict=True):
                typer.echo(f"{task.policy} {task.script} {task.seed} {value}")
            return
        summaries = list(run_tasks(tasks, summary_of, processes=processes))
    half = f"{'tuning' if tune else 'reported'} half"
    over = f"profile {profile}, script {script}, {seeds} x {count} questions"
    title = f"{trace.name}, {half}, {over}: simulated"
    table = Table("policy", *(heading for heading, _, _ in SHOWN), title=title)
    for name in names:
        table.add_row(name, *_means([summary for summary in summaries if summary.policy == name]))
    Console(width=170).print(table)


def _means(summaries: list[Summary]) -> list[str]:
    rows = [summary.row() for summary in summaries]
    means = [float(np.mean([float(str(row[name])) for row in rows])) for _, name, _ in SHOWN]
    return [
        "-" if np.isnan(mean) else form.format(mean) for mean, (_, _, form) in zip(means, SHOWN, strict=True)
    ]
