"""`inarvl-bench faults`."""

from __future__ import annotations

import csv
import signal
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.errors import BenchError
from lab.rig.faults.catalogue import Fault, catalogue
from lab.rig.faults.runner import FaultResult, run_fault

NOTE = (
    "The broker and the agent are real; the link is emulated (two TUN devices); model servers are mocks, "
    "except for the fault that kills a model server."
)


def faults_command(
    out: Annotated[
        Path | None, typer.Option(help="The CSV to write; its rows of other faults are kept.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Part of a fault's name; repeatable.")] = None,
    kills: Annotated[int, typer.Option(min=1, help="How often the agent is killed.")] = 200,
    longest_s: Annotated[float, typer.Option(min=0.5, help="Longest outage of the link.")] = 300.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Queries per second.")] = 4.0,
    seed: int = 0,
    keep: Annotated[
        Path | None, typer.Option(help="A folder for copies of the deployments' logs and spools.")
    ] = None,
) -> None:
    """Inject faults into a running deployment, and count the outcome of every query (needs root)."""
    with explained("inarvl-bench"):
        faults = [
            fault
            for fault in catalogue(kills, longest_s)
            if not only or any(part in fault.name for part in only)
        ]
        if not faults:
            raise BenchError("no fault has this name; omit --only to run all")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services are stopped
        results = []
        for fault in faults:
            results.append(_run(fault, rate, seed, keep))
            if out is not None:
                write(out, results)
        console = Console()
        console.print(_table(results))
        console.print(NOTE)
        if any(result.lost or result.duplicated for result in results):
            raise typer.Exit(1)


def _run(fault: Fault, rate: float, seed: int, keep: Path | None) -> FaultResult:
    typer.echo(f"{fault.name} ...", err=True)
    result = anyio.run(run_fault, fault, rate, seed, keep)
    typer.echo(f"{fault.name}: {result}", err=True)
    return result


def write(file: Path, results: list[FaultResult]) -> None:
    """Writes results to a CSV, and replaces its rows of the same faults."""
    rows: dict[str, dict[str, object]] = {}
    if file.exists():
        with file.open(newline="") as source:
            rows = {row["fault"]: dict(row) for row in csv.DictReader(source)}
    rows |= {result.fault: asdict(result) for result in results}
    with file.open("w", newline="") as output:
        writer = csv.DictWriter(output, [field.name for field in fields(FaultResult)])
        writer.writeheader()
        writer.writerows(rows.values())


def _table(results: list[FaultResult]) -> Table:
    columns = (
        "fault",
        "sent",
        "answered",
        "errors",
        "lost",
        "duplicated",
        "repeats",
        "gap s",
        "error codes",
        "ms",
    )
    table = Table(*columns)
    for result in results:
        table.add_row(*(str(value) for value in asdict(result).values()))
    return table
