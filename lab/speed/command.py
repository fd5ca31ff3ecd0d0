"""`inarvl-bench speed`: measures the cost of inarvl itself beside yardsticks of the same run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.errors import BenchError
from lab.speed.agent import measure_agent
from lab.speed.decisions import measure_decisions
from lab.speed.figure import Figure
from lab.speed.machine import machine_facts
from lab.speed.model_server import measure_model_server
from lab.speed.plan import Plan, short
from lab.speed.signals import measure_signals
from lab.speed.spool import measure_spool
from lab.speed.start import measure_start

MEASUREMENTS: Final[Mapping[str, Callable[[Plan], list[Figure]]]] = {
    "agent": measure_agent,
    "signals": measure_signals,
    "decisions": measure_decisions,
    "start": measure_start,
    "spool": measure_spool,
    "model-server": measure_model_server,
}


def speed_command(
    out: Annotated[
        Path, typer.Option(help="The JSON file to write, with all rounds and the machine.")
    ] = Path("speed.json"),
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only this; repeatable. One of {', '.join(MEASUREMENTS)}.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each figure is the median.")] = Plan.rounds,
    folder: Annotated[
        Path | None, typer.Option(help="Folder on the disk to measure. Default: for temporary files.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure very little, to test the command itself.")
    ] = False,
) -> None:
    """Measure the cost of the agent itself, and compare it with yardsticks of the same run."""
    with explained("inarvl-bench"):
        for name in only or ():
            if name not in MEASUREMENTS:
                raise BenchError(f"no measurement {name!r}: choose from {', '.join(MEASUREMENTS)}")
        where = folder or Plan().folder
        plan = short(where) if quick else Plan(rounds=rounds, folder=where)
        before = machine_facts(plan.folder)
        figures = [
            figure
            for name, measure in MEASUREMENTS.items()
            if not only or name in only
            for figure in measure(plan)
        ]
        after = machine_facts(plan.folder)["load_average"]
    results = {
        "machine": {**before, "load_average_after": after},
        "rounds": plan.rounds,
        "figures": [figure.to_json() for figure in figures],
    }
    out.write_text(json.dumps(results, indent=2) + "\n")
    Console(width=140).print(_table(figures, plan))


def _table(figures: list[Figure], plan: Plan) -> Table:
    table = Table(
        "figure", "measured", "yardstick", "", "ratio", "goal", "", title=f"median of {plan.rounds}"
    )
    for figure in figures:
        limit = ""
        if figure.goal is not None:
            sign = ">=" if figure.goal.at_least else "<="
            unit = "x" if figure.goal.of == "ratio" else f" {figure.unit}"
            more = "yardstick + " if figure.goal.of == "difference" else ""
            limit = f"{sign} {more}{figure.goal.limit:g}{unit}"
        table.add_row(
            figure.name + (" (estimated)" if figure.estimated else ""),
            f"{figure.value:.4g} {figure.unit}",
            "" if figure.yardstick_value is None else f"{figure.yardstick_value:.4g} {figure.unit}",
            figure.yardstick,
            "" if figure.ratio is None else f"{figure.ratio:.3g}x",
            limit,
            "" if figure.reached is None else "reached" if figure.reached else "missed",
        )
    return table
