"""`inarvl-bench load` and `inarvl-bench soak`."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.rig.deployment import Pacing, Site
from lab.rig.load import load_tests as run
from lab.rig.load.generator import Sent, Shape
from lab.rig.load.plot import plot_soak
from lab.rig.load.resource_growth import Growth
from lab.rig.load.statistics import Tally

NOTE = "Model servers are paced stand-ins: what is measured is the agent, broker and spool, not a model."
EdgeMs = Annotated[float, typer.Option(min=1, help="Median answer time of the board's stand-in.")]
CloudMs = Annotated[float, typer.Option(min=1, help="Median answer time of the cloud's stand-in.")]
Seed = Annotated[int, typer.Option(help="Of arrivals, deadlines and priorities.")]


def load_command(
    factor: Annotated[float, typer.Option(min=0.1, help="How many times the measured capacity.")] = 2.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 60.0,
    deadline_ms: Annotated[list[float] | None, typer.Option(help="Repeatable; each as likely.")] = None,
    priority: Annotated[list[int] | None, typer.Option(help="Repeatable; each as likely.")] = None,
    edge_ms: EdgeMs = 150.0,
    cloud_ms: CloudMs = 200.0,
    seed: Seed = 0,
) -> None:
    """Measure what a site can do, then ask for a multiple of that, and tell who was answered."""
    shape = Shape(1.0, tuple(deadline_ms or (1000.0, 2000.0, 4000.0)), tuple(priority or (2, 4, 7)))
    with explained("inarvl-bench"), _site(Pacing(edge_ms, cloud_ms)) as site:

        async def measure() -> tuple[float, list[Sent], float]:
            rng = np.random.default_rng(seed)
            able = await run.capacity(site, min(seconds, 30.0), rng=rng)
            asked = Shape(factor * able, shape.deadlines_ms, shape.priorities)
            return able, *await run.overload(site, asked, seconds, rng=rng)

        able, questions, most_mb = anyio.run(measure)
    screen = Console()
    screen.print(f"capacity {able:.1f} answers/s; asked {factor:g} times that for {seconds:.0f} s. {NOTE}")
    screen.print(_table(questions))
    answered = Tally.of(questions).answered
    screen.print(f"{answered / seconds:.1f} answers/s; the agent held {most_mb:.0f} MiB at most")


def soak_command(
    out: Annotated[Path, typer.Option(help="The CSV; a plot is written beside it.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 120.0,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Questions/s; 80 % of the capacity.")] = None,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds between readings.")] = 10.0,
    deadline_ms: Annotated[float, typer.Option(min=1, help="Of each question.")] = 4000.0,
    edge_ms: EdgeMs = 150.0,
    cloud_ms: CloudMs = 200.0,
    seed: Seed = 0,
) -> None:
    """Ask for hours, and write down what the agent holds."""
    with explained("inarvl-bench"), _site(Pacing(edge_ms, cloud_ms)) as site:

        async def measure() -> tuple[float, Tally]:
            rng = np.random.default_rng(seed)
            asked = rate or 0.8 * await run.capacity(site, 30.0, rng=rng)
            shape = Shape(asked, (deadline_ms,), (2, 4, 7))
            return asked, await run.soak(site, shape, minutes * 60, out, every_s=every_s, rng=rng)

        started = time.monotonic()
        asked, tally = anyio.run(measure)
        spent_min = (time.monotonic() - started) / 60
    plot_soak(out, out.with_suffix(".png"))
    typer.echo(
        f"{spent_min:.0f} min at {asked:.1f} questions/s: {tally.sent} sent, {tally.answered} answered, "
        f"{tally.errors} errors, {tally.lost} lost, {tally.other_replies} answered twice. {NOTE}"
    )
    typer.echo(Growth.of(out) or "too short to tell whether the agent grows")


@contextmanager
def _site(pacing: Pacing) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="inarvl-load-") as folder:
        site = Site(Path(folder), pacing=pacing)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
        try:
            site.start_all()
            yield site
        finally:
            site.stop_all()


def _table(questions: list[Sent]) -> Table:
    latencies = ("p50 ms", "p99 ms", "p99 of deadline", "late")
    table = Table("priority", "sent", "answered", "busy", "other errors", "lost", *latencies)
    for priority in sorted({sent.priority for sent in questions}, reverse=True):
        tally = Tally.of(sent for sent in questions if sent.priority == priority)
        _row(table, f"{priority}", tally)
    _row(table, "all", Tally.of(questions))
    return table


def _row(table: Table, name: str, tally: Tally) -> None:
    busy = tally.outcomes["busy"]
    figures = (tally.sent, tally.answered, busy, tally.errors - busy, tally.lost)
    quantiles = (tally.percentile_ms(share) for share in (0.5, 0.99))
    shown = ("" if ms is None else f"{ms:.0f}" for ms in quantiles)
    of_deadline = tally.percentile_of_deadline(0.99)
    shown_of_deadline = "" if of_deadline is None else f"{of_deadline:.0%}"
    table.add_row(name, *map(str, figures), *shown, shown_of_deadline, str(tally.late))
