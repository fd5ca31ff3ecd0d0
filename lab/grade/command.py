"""`inarvl-bench grade`: what a trace says of each arm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from controller.arm import Tier
from inarvl.terminal import explained
from lab.grade.complementarity import together
from lab.grade.grade_tables import markdown, table
from lab.grade.grading import grade
from lab.trace import trace as traces

TIERS: tuple[Tier, Tier] = ("local", "cloud")


def grade_command(
    trace: Annotated[Path, typer.Argument(help="A recorded trace (.csv.gz).", exists=True, dir_okay=False)],
    csv: Annotated[Path | None, typer.Option(help="Also write every figure to this file.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Only the arms of this model; repeatable. All when left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling for the intervals.")] = 0,
) -> None:
    """Tell each arm's accuracy, what its confidence is worth, and its cost, as Markdown."""
    with explained("inarvl-bench"):
        whole = traces.read(trace)
        kept = {arm.skill: whole.runs[arm.skill] for arm in whole.arms if not model or arm.model in model}
        if not kept:
            known = ", ".join(sorted({arm.model for arm in whole.arms}))
            raise typer.BadParameter(f"{trace} has no arms of {', '.join(model or ())}; it has {known}")
        graded = grade(traces.Trace(whole.questions, kept), np.random.default_rng(seed))
        pairs = [found for tier in TIERS if (found := together(whole, tier))] if not model else []
    typer.echo(markdown(graded, pairs), nl=False)
    if csv:
        csv.write_text(table(graded), encoding="utf-8")
