"""`inarvl-bench import`: makes a trace from outcomes that others published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from inarvl.terminal import explained
from lab.outcomes.outcome_table import OutcomeTable
from lab.outcomes.routerbench import read_routerbench
from lab.outcomes.vl_routerbench import read_vl_routerbench
from lab.trace.trace import write_trace

import_app = typer.Typer(
    help="Make a trace from outcomes that others published.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(help="Folder of the data set.", exists=True, file_okay=False)]
Out = Annotated[Path, typer.Option(help="The trace to write, such as trace.csv.gz.")]
Local = Annotated[
    list[str] | None, typer.Option(help="Model of the board; repeatable. Default: the cheapest two.")
]
Cloud = Annotated[
    list[str] | None,
    typer.Option(help="Model of the cloud; repeatable. Default: the most accurate two of the others."),
]


@import_app.command("routerbench")
def import_routerbench(folder: Folder, out: Out, local: Local = None, cloud: Cloud = None) -> None:
    """Import RouterBench (arXiv 2403.12031), as CSV: outcomes and costs of language models on text."""
    _import(read_routerbench, folder, out, local, cloud)


@import_app.command("vl-routerbench")
def import_vl_routerbench(folder: Folder, out: Out, local: Local = None, cloud: Cloud = None) -> None:
    """Import VL-RouterBench (arXiv 2512.23562): outcomes and costs of vision-language models."""
    _import(read_vl_routerbench, folder, out, local, cloud)


def _import(
    read: Callable[[Path], OutcomeTable],
    folder: Path,
    out: Path,
    local: list[str] | None,
    cloud: list[str] | None,
) -> None:
    with explained("inarvl-bench"):
        table = read(folder)
        tiers = table.tiers(local or (), cloud or ())
        write_trace(out, table.trace(*tiers))
    board, server = (", ".join(models) for models in tiers)
    typer.echo(f"{out}: {len(table.questions)} questions; board: {board}; cloud: {server}")
