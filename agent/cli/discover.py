"""`inarvl discover`."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from agent.peers import mdns
from inarvl.terminal import explained, plain


def discover(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = 3.0,
) -> None:
    """List the peers that announce themselves on the local network."""
    with explained("inarvl"):
        found = anyio.run(mdns.listen, seconds)
    table = Table("peer", "url", "models", "version")
    for record in found.values():
        table.add_row(*map(plain, (record.id, record.url, ", ".join(record.models), record.version)))
    Console().print(table if found else f"no peer announced itself within {seconds:g} s")
    if not found:
        raise typer.Exit(1)
