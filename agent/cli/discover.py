"""`inarvl discover`."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from agent.cli.options import Config, Json
from agent.config.settings import site_settings
from agent.peers.survey import FoundPeer, survey
from inarvl.terminal import explained, plain, print_json


def discover(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = 3.0,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List the peers that announce themselves on the local network, and whether they are trusted."""
    with explained("inarvl"):
        settings = site_settings(config)
        discovery = settings.discovery.model_copy(update={"zeroconf": True})
        peers = anyio.run(survey, settings.model_copy(update={"discovery": discovery}), seconds)
    found = [peer for peer in peers if peer.access is None]
    if as_json:
        rows = [(peer.record, _trust(peer)) for peer in found]
        print_json(
            [
                {
                    "id": record.id,
                    "url": record.url,
                    "models": list(record.models),
                    "version": record.version,
                    "trust": trust,
                }
                for record, trust in rows
            ]
        )
    else:
        table = Table("peer", "url", "models", "version", "trust")
        for peer in found:
            record, models = peer.record, ", ".join(peer.record.models)
            table.add_row(*map(plain, (record.id, record.url, models, record.version, _trust(peer))))
        Console().print(table if found else f"no peer announced itself within {seconds:g} s")
    if not found:
        raise typer.Exit(1)


def _trust(peer: FoundPeer) -> str:
    if peer.verdict.trusted:
        return f"trusted: {peer.verdict.reason}"
    if peer.verdict.ways:
        return "trusted if its certificate proves who it is"
    return f"untrusted: {peer.verdict.reason}"
