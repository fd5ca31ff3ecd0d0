"""`inarvl-bench agreement`: measures how well answers that say the same are recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from inarvl.terminal import explained
from lab.agreement.judging import cross_validate, judge
from lab.agreement.pairs import PairsError, read
from lab.agreement.tables import agreement_tables


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
        typer.echo(f"## Weights that ship\n\n{agreement_tables(known, judge(known))}")
        if folds:
            if folds > len({pair.question for pair in known}):
                raise PairsError(f"{pairs} has fewer questions than {folds} folds: use fewer folds")
            refitted = cross_validate(known, folds, np.random.default_rng(seed))
            title = f"Refitted, {folds}-fold cross-validation"
            typer.echo(f"## {title}\n\n{agreement_tables(known, refitted)}")
