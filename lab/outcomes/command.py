"""`inarvl-bench outcomes`: routes between two models on published outcomes and prints the gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.outcomes.outcome_curve import SHARE, curve_of_outcomes


def outcomes_command(
    folder: Annotated[Path, typer.Argument(help="Folder with outcomes.csv and images/.", exists=True)],
    weak: Annotated[str | None, typer.Option(help="Column of the model on the board.")] = None,
    strong: Annotated[str | None, typer.Option(help="Column of the model in the cloud.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Replays at each floor.")] = 5,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")
    ] = None,
) -> None:
    """Print the gain in accuracy over random routing with as many calls, on outcomes published by others."""
    with explained("inarvl-bench"):
        curve = curve_of_outcomes(folder, weak=weak, strong=strong, seeds=seeds, processes=processes)
    title = f"{folder.name}: gain over random routing at {SHARE:.0%} strong calls, {seeds} seeds"
    table = Table("policy", "points", "seeds from", "to", title=title)
    for share, gains in curve.gains.items():
        table.add_row(f"controller without priors, feedback for {share:.0%}", *_points(gains))
    table.add_row("the same, images never recognised, feedback for 100%", *_points(curve.unfamiliar))
    table.add_row("two-stage, fitted to the other half", *_points(curve.offline))
    Console(width=110).print(table)


def _points(gains: Sequence[float]) -> list[str]:
    return [f"{100 * value:+.1f}" for value in (sum(gains) / len(gains), min(gains), max(gains))]
