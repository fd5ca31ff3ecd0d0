"""`inarvl-bench agreement`: measures how well answers that say the same are recognised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from agent.agreement.task import TASKS
from inarvl.terminal import explained
from lab.agreement.judging import cross_validate, judge
from lab.agreement.pairs import Pair, PairsError, read
from lab.agreement.scoring import Judged, figures

HEADINGS = ("", "pairs", "AUROC", "sure", "error where sure", "equality's error", "ECE")


def agreement_command(
    pairs: Annotated[
        Path,
        typer.Argument(
            help="A CSV file: source, question, answer_a, answer_b, same.", exists=True, dir_okay=False
        ),
    ],
    folds: Annotated[
        int | None,
        typer.Option(
            "--cross-validate", min=2, help="Also refit the weights on the pairs, in this many folds."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the division into folds.")] = 0,
) -> None:
    """Measure how well answers that say the same are recognised, per form and per source, as Markdown."""
    with explained("inarvl-bench"):
        known = [pair for pair in read(pairs) if pair.same is not None]
        if not known:
            raise PairsError(f"{pairs} has no pair whose column same is 0 or 1")
        typer.echo(_report("Weights that ship", known, judge(known)))
        if folds:
            if folds > len({pair.question for pair in known}):
                raise PairsError(f"{pairs} has fewer questions than {folds} folds: use fewer folds")
            refitted = cross_validate(known, folds, np.random.default_rng(seed))
            typer.echo(_report(f"Refitted, {folds}-fold cross-validation", known, refitted))


def _report(title: str, pairs: Sequence[Pair], judged: Sequence[Judged]) -> str:
    rows = list(zip(pairs, judged, strict=True))

    def row(name: str, belongs: Callable[[Pair], bool]) -> str | None:
        chosen = [one for pair, one in rows if belongs(pair)]
        return _row(name, chosen) if chosen else None

    lines = [f"## {title}", "", f"| {' | '.join(HEADINGS)} |", f"|---{'|---:' * (len(HEADINGS) - 1)}|"]
    by_task = [row(task, lambda pair, task=task: pair.task == task) for task in TASKS]  # type: ignore[misc]
    sources = sorted({pair.source for pair in pairs})
    by_source = [row(source, lambda pair, source=source: pair.source == source) for source in sources]  # type: ignore[misc]
    totals = [row("**all short forms**", lambda pair: pair.task != "open"), row("**all**", lambda _: True)]
    return "\n".join([*lines, *(line for line in (*by_task, *totals, *by_source) if line), ""])


def _row(name: str, judged: Sequence[Judged]) -> str:
    found = figures(judged)
    cells = [
        name.replace("|", "/"),
        str(found.pairs),
        "" if found.auroc is None else f"{found.auroc:.3f}",
        f"{found.sure:.0%}",
        "" if found.error is None else f"{found.error:.1%}",
        f"{found.equality_error:.0%}",
        f"{found.ece:.3f}",
    ]
    return f"| {' | '.join(cells)} |"
