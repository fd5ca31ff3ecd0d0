"""`inarvl-bench grade`: grades the arms of a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from controller.arm import Tier
from inarvl.terminal import explained
from lab.grade.agreement_section import agreement_markdown
from lab.grade.answer_pairs import answer_pairs
from lab.grade.complementarity import complementarity
from lab.grade.grade_tables import markdown, table
from lab.grade.grading import grade
from lab.trace.trace import Trace, read_trace

TIERS: tuple[Tier, Tier] = ("local", "cloud")


def grade_command(
    trace: Annotated[Path, typer.Argument(help="A recorded trace (.csv.gz).", exists=True, dir_okay=False)],
    csv: Annotated[Path | None, typer.Option(help="Also write all figures to this CSV file.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Grade only the arms of this model; repeatable. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the resampling for the intervals.")] = 0,
) -> None:
    """Print each arm's accuracy, the value of its confidence, its cost, and the agreement, as Markdown."""
    with explained("inarvl-bench"):
        whole = read_trace(trace)
        runs = {arm.skill: whole.runs[arm.skill] for arm in whole.arms if not model or arm.model in model}
        if not runs:
            known = ", ".join(sorted({arm.model for arm in whole.arms}))
            raise typer.BadParameter(f"{trace} has no arms of {', '.join(model or ())}; it has {known}")
        chosen = Trace(whole.questions, runs)
        graded = grade(chosen, np.random.default_rng(seed))
        pairs = [pair for tier in TIERS if (pair := complementarity(whole, tier))] if not model else []
        answers = answer_pairs(chosen)
    typer.echo(markdown(graded, pairs), nl=False)
    if answers:
        typer.echo(agreement_markdown(answers), nl=False)
    if csv:
        csv.write_text(table(graded), encoding="utf-8")
