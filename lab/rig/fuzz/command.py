"""`inarvl-bench fuzz`."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from inarvl.terminal import explained
from lab.errors import BenchError
from lab.rig.fuzz import chat_requests, feedback, images, mdns, queries, records, replies, site_file, txt
from lab.rig.fuzz.fuzz_door import Finding, FuzzResult, fuzz

DOORS = {
    module.DOOR.name: module.DOOR
    for module in (feedback, records, txt, mdns, replies, queries, images, site_file, chat_requests)
}
SHOWN_BYTES = 400


def fuzz_command(
    door: Annotated[str, typer.Argument(help=f"One of {', '.join(DOORS)}, or all.")],
    count: Annotated[int, typer.Option(min=1, help="Inputs per door.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other inputs.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder for the inputs of findings.")] = None,
) -> None:
    """Pass mutated inputs through the doors for remote input; the exit status is 1 if one has a finding."""
    with explained("inarvl-bench"):
        if door != "all" and door not in DOORS:
            raise BenchError(f"there is no door {door!r}: use {', '.join(DOORS)}, or all")
        logging.disable(logging.CRITICAL)  # every dropped input would be logged
        warnings.simplefilter("ignore")  # of Pillow, about damaged images
        results = []
        for name in DOORS if door == "all" else (door,):
            typer.echo(f"{name}: {count} inputs ...", err=True)
            results.append(anyio.run(fuzz, DOORS[name], count, seed))
            for finding in results[-1].findings.values():
                _show(name, finding, out)
        Console().print(_table(results))
        if any(result.findings for result in results):
            raise typer.Exit(1)


def _show(door: str, finding: Finding, out: Path | None) -> None:
    typer.echo(f"{door}: {finding.place}\n{finding.trace}")
    typer.echo(f"smallest input, {len(finding.example)} bytes: {finding.example[:SHOWN_BYTES]!r}\n")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        name = "".join(character if character.isalnum() else "-" for character in finding.place)
        (out / f"{door}-{name}").write_bytes(finding.example)


def _table(results: list[FuzzResult]) -> Table:
    table = Table("door", "inputs", "findings", "inputs per second")
    for result in results:
        rate = result.inputs / max(1e-9, result.seconds)
        table.add_row(result.door, f"{result.inputs}", f"{len(result.findings)}", f"{rate:.0f}")
    return table
