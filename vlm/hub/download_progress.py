"""Shows the progress of a download: a bar on a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def download_display(name: str) -> Iterator[Callable[[float], None]]:
    """Yields a function to report the downloaded share to, from 0 to 1; shown on standard error."""
    if not sys.stderr.isatty():
        yield _print_tenths(name)
        return
    columns = (
        TextColumn("downloading {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(name, total=1.0)
        yield lambda share: progress.update(bar, completed=share)


def _print_tenths(name: str) -> Callable[[float], None]:
    printed = -1

    def show(share: float) -> None:
        nonlocal printed
        if int(share * 10) > printed:
            printed = int(share * 10)
            typer.echo(f"downloading {name}: {printed * 10}%", err=True)

    return show
