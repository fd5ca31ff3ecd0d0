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
from lab.rig.faults.runner import Account, try_fault

NOTE = (
    "Real broker and agent; the link is emulated (two TUN devices), model servers are paced stand-ins except "
    "where the model is the subject."
)


def faults_command(
    out: Annotated[Path | None, typer.Option(help="A CSV; lines of other faults in it are kept.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Part of a fault's name; repeatable.")] = None,
    kills: Annotated[int, typer.Option(min=1, help="How often the agent is killed.")] = 200,
    longest_s: Annotated[float, typer.Option(min=0.5, help="The longest outage of the link.")] = 300.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Questions per second.")] = 4.0,
    seed: int = 0,
    keep: Annotated[Path | None, typer.Option(help="A folder for logs and spools of the sites.")] = None,
) -> None:
    """Harm a running site in every way, and count what became of each question (needs root)."""
    with explained("inarvl-bench"):
        faults = [f for f in catalogue(kills, longest_s) if not only or any(o in f.name for o in only)]
        if not faults:
            raise BenchError("no fault is called that; leave --only out to see all")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
        accounts = []
        for fault in faults:
            accounts.append(_tried(fault, rate, seed, keep))
            if out is not None:
                write(out, accounts)
        screen = Console()
        screen.print(_table(accounts))
        screen.print(NOTE)
        if any(account.lost or account.duplicated for account in accounts):
            raise typer.Exit(1)


def _tried(fault: Fault, rate: float, seed: int, keep: Path | None) -> Account:
    typer.echo(f"{fault.name} ...", err=True)
    account = anyio.run(try_fault, fault, rate, seed, keep)
    typer.echo(f"{fault.name}: {account}", err=True)
    return account


def write(file: Path, accounts: list[Account]) -> None:
    """Put accounts into a CSV in place of older ones of the same faults."""
    held: dict[str, dict[str, object]] = {}
    if file.exists():
        with file.open(newline="") as source:
            held = {row["fault"]: dict(row) for row in csv.DictReader(source)}
    held |= {account.fault: asdict(account) for account in accounts}
    with file.open("w", newline="") as output:
        writer = csv.DictWriter(output, [field.name for field in fields(Account)])
        writer.writeheader()
        writer.writerows(held.values())


def _table(accounts: list[Account]) -> Table:
    columns = ("fault", "sent", "answered", "errors", "lost", "duplicated", "repeats", "gap s", "errors are")
    table = Table(*columns)
    for account in accounts:
        table.add_row(*(str(value) for value in asdict(account).values()))
    return table
