"""Shows the progress of a recording: bars on a terminal, otherwise lines on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lab.trace.record_trace import ReportProgress

TENTHS = 10


@contextmanager
def recording_display() -> Iterator[ReportProgress]:
    """Yields a function that shows the progress on standard error."""
    if not sys.stderr.isatty():
        yield _print_tenths
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)

        yield show


def _print_tenths(name: str, done: int, total: int) -> None:
    if done * TENTHS // total > (done - 1) * TENTHS // total:
        sys.stderr.write(f"{name}: {done} of {total}\n")
