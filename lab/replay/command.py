"""`inarvl-bench replay`: replays policies on a trace and prints a table of figures."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.replay.ablations import default_knob, maker_named
from lab.replay.compact_table import compact_table
from lab.replay.comparison import Comparison, compare
from lab.replay.lineup import LINEUP
from lab.replay.replay_cache import ReplayCache, default_folder
from lab.replay.runner import ReplayTask, digest_of, run_tasks, summary_of
from lab.replay.summary import Summary
from lab.sim.cost_profile import PROFILES, profile_named
from lab.sim.dataset import Half
from lab.sim.drift_scripts import SCRIPTS, script_named


class HalfChoice(str, Enum):
    """The names of the halves on the command line."""

    tuning = "tuning"
    reported = "reported"


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
    script: Annotated[
        list[str] | None,
        typer.Option(help=f"Drift script; repeatable; or all. Default: steady. One of {', '.join(SCRIPTS)}."),
    ] = None,
    floor: Annotated[
        list[float] | None,
        typer.Option(
            min=0.5, max=1, help="Compare at this floor, with what is lost and noticed; repeatable."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Replays of each policy.")] = 3,
    count: Annotated[int, typer.Option(min=10, help="Questions in a replay.")] = 3000,
    half: Annotated[
        HalfChoice,
        typer.Option(help="Half to replay. Policies then know the tuning half, or half of it."),
    ] = HalfChoice.reported,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of finished replays that --floor uses again.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")
    ] = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Print the SHA-256 of each replay instead of the table.")
    ] = False,
) -> None:
    """Replay policies on a trace under a cost profile, and print their figures (simulated).

    With --floor or more than one script, the table has one line per script and policy, with the cost above
    the best of the other policies at the same accuracy; finished replays are used again.
    """
    with explained("inarvl-bench"):
        profile_named(profile)
        scripts = tuple(SCRIPTS) if script and "all" in script else tuple(script or ("steady",))
        for name in scripts:
            script_named(name)
        names = policy or list(LINEUP)
        for name in names:
            maker_named(name)
        which: Half = "tune" if half is HalfChoice.tuning else "report"
        over = f"profile {profile}, {seeds} x {count} questions"
        title = f"{trace.name}, {half.value} half, {over}: simulated"
        if (floor or len(scripts) > 1) and not digest:
            comparison = Comparison(
                trace, tuple(names), scripts, tuple(floor or (0.99,)), seeds, count, profile, which
            )
            store = ReplayCache.of(cache or default_folder(), trace)
            rows = compare(comparison, store, processes=processes)
            Console(width=190).print(compact_table(rows, title))
            return
        tasks = [
            ReplayTask(
                trace=trace,
                policy=name,
                knob=default_knob(name) if knob is None else knob,
                seed=seed,
                profile=profile,
                script=one,
                count=count,
                half=which,
            )
            for one in scripts
            for name in names
            for seed in range(seeds)
        ]
        if digest:
            for task, value in zip(tasks, run_tasks(tasks, digest_of, processes=processes), strict=True):
                typer.echo(f"{task.policy} {task.script} {task.seed} {value}")
            return
        summaries = list(run_tasks(tasks, summary_of, processes=processes))
    table = Table("policy", *(heading for heading, _, _ in SHOWN), title=f"{title}, script {scripts[0]}")
    for name in names:
        table.add_row(name, *_means([summary for summary in summaries if summary.policy == name]))
    Console(width=170).print(table)


def _means(summaries: list[Summary]) -> list[str]:
    rows = [summary.row() for summary in summaries]
    means = [float(np.mean([float(str(row[name])) for row in rows])) for _, name, _ in SHOWN]
    return [
        "-" if np.isnan(mean) else form.format(mean) for mean, (_, _, form) in zip(means, SHOWN, strict=True)
    ]
