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
from lab.rig.deployment import Deployment, MockTimes
from lab.rig.load.generator import SentQuery, Workload
from lab.rig.load.load_tests import measure_capacity, run_overload, run_soak
from lab.rig.load.plot import plot_soak
from lab.rig.load.resource_growth import ResourceGrowth
from lab.rig.load.statistics import QueryStatistics

NOTE = "Model servers are mocks: this measures the agent, the broker and the spool, not a model."
EdgeMs = Annotated[float, typer.Option(min=1, help="Median response time of the board's mock server.")]
CloudMs = Annotated[float, typer.Option(min=1, help="Median response time of the cloud's mock server.")]
Seed = Annotated[int, typer.Option(help="Seed of arrivals, deadlines and priorities.")]


def load_command(
    factor: Annotated[float, typer.Option(min=0.1, help="Load, in units of the measured capacity.")] = 2.0,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of the load.")] = 60.0,
    deadline_ms: Annotated[
        list[float] | None, typer.Option(help="Repeatable; all have the same probability.")
    ] = None,
    priority: Annotated[
        list[int] | None, typer.Option(help="Repeatable; all have the same probability.")
    ] = None,
    edge_ms: EdgeMs = 150.0,
    cloud_ms: CloudMs = 200.0,
    seed: Seed = 0,
) -> None:
    """Measure the capacity of a deployment, offer a multiple of it, and count answers and errors."""
    deadlines_ms, priorities = tuple(deadline_ms or (1000.0, 2000.0, 4000.0)), tuple(priority or (2, 4, 7))
    with explained("inarvl-bench"), _deployment(MockTimes(edge_ms, cloud_ms)) as deployment:

        async def measure() -> tuple[float, list[SentQuery], float]:
            rng = np.random.default_rng(seed)
            capacity = await measure_capacity(deployment, min(seconds, 30.0), rng=rng)
            workload = Workload(factor * capacity, deadlines_ms, priorities)
            return capacity, *await run_overload(deployment, workload, seconds, rng=rng)

        capacity, queries, most_mb = anyio.run(measure)
    console = Console()
    console.print(
        f"capacity {capacity:.1f} answers/s; load {factor:g} times that for {seconds:.0f} s. {NOTE}"
    )
    console.print(_table(queries))
    answered = QueryStatistics.of(queries).answered
    console.print(f"{answered / seconds:.1f} answers/s; maximum memory of the agent {most_mb:.0f} MiB")


def soak_command(
    out: Annotated[Path, typer.Option(help="The CSV to write; a plot is written next to it.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="Duration of the load.")] = 120.0,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Queries per second; default: 80 % of the capacity.")
    ] = None,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds between readings.")] = 10.0,
    deadline_ms: Annotated[float, typer.Option(min=1, help="Deadline of each query.")] = 4000.0,
    edge_ms: EdgeMs = 150.0,
    cloud_ms: CloudMs = 200.0,
    seed: Seed = 0,
) -> None:
    """Send queries for hours, and log the agent's memory, file descriptors and threads."""
    with explained("inarvl-bench"), _deployment(MockTimes(edge_ms, cloud_ms)) as deployment:

        async def measure() -> tuple[float, QueryStatistics]:
            rng = np.random.default_rng(seed)
            per_s = rate or 0.8 * await measure_capacity(deployment, 30.0, rng=rng)
            workload = Workload(per_s, (deadline_ms,), (2, 4, 7))
            return per_s, await run_soak(deployment, workload, minutes * 60, out, every_s=every_s, rng=rng)

        started = time.monotonic()
        per_s, statistics = anyio.run(measure)
        spent_min = (time.monotonic() - started) / 60
    plot_soak(out, out.with_suffix(".png"))
    typer.echo(
        f"{spent_min:.0f} min at {per_s:.1f} queries/s: {statistics.sent} sent, "
        f"{statistics.answered} answered, {statistics.errors} errors, {statistics.lost} lost, "
        f"{statistics.different_replies} answered twice. {NOTE}"
    )
    typer.echo(ResourceGrowth.of(out) or "too short to measure whether the agent grows")


@contextmanager
def _deployment(mock_times: MockTimes) -> Iterator[Deployment]:
    with tempfile.TemporaryDirectory(prefix="inarvl-load-") as folder:
        deployment = Deployment(Path(folder), mock_times=mock_times)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services are stopped
        try:
            deployment.start_all()
            yield deployment
        finally:
            deployment.stop_all()


def _table(queries: list[SentQuery]) -> Table:
    latencies = ("p50 ms", "p99 ms", "p99 of deadline", "late")
    table = Table("priority", "sent", "answered", "busy", "other errors", "lost", *latencies)
    for priority in sorted({query.priority for query in queries}, reverse=True):
        of_priority = QueryStatistics.of(query for query in queries if query.priority == priority)
        _add_row(table, f"{priority}", of_priority)
    _add_row(table, "all", QueryStatistics.of(queries))
    return table


def _add_row(table: Table, name: str, statistics: QueryStatistics) -> None:
    busy = statistics.outcomes["busy"]
    counts = (statistics.sent, statistics.answered, busy, statistics.errors - busy, statistics.lost)
    latencies = (statistics.latency_ms_quantile(q) for q in (0.5, 0.99))
    of_deadline = statistics.deadline_share_quantile(0.99)
    table.add_row(
        name,
        *map(str, counts),
        *("" if ms is None else f"{ms:.0f}" for ms in latencies),
        "" if of_deadline is None else f"{of_deadline:.0%}",
        str(statistics.late),
    )
