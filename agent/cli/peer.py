"""`inarvl peer`: which discovered peers a person trusts."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from agent import client
from agent.cli.options import Config, Json
from agent.client import AgentSilent
from agent.config.settings import Settings, site_settings
from agent.messages.seen_telemetry import SeenServer, SeenTelemetry
from agent.peers.pins import Pin, PinFile
from agent.peers.seen_certificate import SeenCertificate, seen_certificate
from agent.peers.survey import address_rules, claims
from cloud.peer import PeerRecord
from inarvl.errors import InarvlError
from inarvl.terminal import explained, plain, print_json
from vlm.client_tls import ClientTls, read_fingerprint

app = typer.Typer(help="List, trust and distrust discovered peers.", no_args_is_help=True)

WAIT_S = 2.0
PLAIN_WARNING = (
    "It does not use TLS. Whoever is on the network between can read the images and answer in its place, and "
    "whoever gets its address is trusted. Only its exact URL is trusted."
)

PeerId = Annotated[str, typer.Argument(metavar="ID", help="The peer's id, as `inarvl discover` lists it.")]


class NotTrusted(InarvlError):
    """A peer cannot be trusted; the message says what to do."""

    code = "peer_not_trusted"


@app.command("list")
def list_peers(config: Config = None, as_json: Json = False) -> None:
    """List the trusted peers, and what the running agent has discovered."""
    with explained("inarvl"):
        settings = site_settings(config)
        pins = PinFile(settings.state_dir).load()
        servers = _reported(settings)
    rows = [(server.id, server.url, server.trust or "", server.trust_reason) for server in servers]
    gone = [pin for pin in pins if all(server.id != pin.id for server in servers)]
    rows += [(pin.id, pin.url, "trusted", "but the agent does not see it now") for pin in gone]
    names = ("peer", "url", "trust", "why")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    table = Table(*names)
    for row in rows:
        table.add_row(*map(plain, row))
    Console().print(table if rows else "no peer is known or trusted")


@app.command()
def trust(
    peer_id: PeerId,
    config: Config = None,
    url: Annotated[str | None, typer.Option(help="Which one, if several announce this id.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Trust it without a question if its certificate has this SHA-256.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to look for it.")] = 3.0,
) -> None:
    """Show a discovered peer and its certificate, and trust it from now on if you agree."""
    with explained("inarvl"):
        settings = site_settings(config)
        wanted = None if fingerprint is None else _fingerprint(fingerprint)
        record = _claimed(settings, peer_id, url, seconds)
        seen = _seen(settings, record)
        for line in _lines(record, seen):
            typer.echo(str(plain(line)))
        if wanted is None:
            question = f"Send images to {peer_id}, and believe its answers?"
            if not typer.confirm(str(plain(question))):
                raise typer.Exit(1)
        elif seen is None or seen.fingerprint != wanted:
            raise NotTrusted(f"{record.url} does not have the certificate {wanted}: it is not trusted")
        pin = Pin(record.id, record.url, *((seen.fingerprint, seen.subject) if seen else (None,)))
        PinFile(settings.state_dir).add(pin)
    typer.echo(f"{peer_id} is trusted; a running agent uses it in a few seconds")


@app.command()
def distrust(peer_id: PeerId, config: Config = None) -> None:
    """Trust a peer no longer that `inarvl peer trust` has trusted."""
    with explained("inarvl"):
        settings = site_settings(config)
        if not PinFile(settings.state_dir).remove(peer_id):
            raise NotTrusted(f"`inarvl peer trust` has not trusted {peer_id}: see `inarvl peer list`")
    typer.echo(f"{peer_id} is not trusted any more; a running agent stops using it in a few seconds")


def _reported(settings: Settings) -> list[SeenServer]:
    try:
        snapshot = anyio.run(lambda: client.status(settings, wait_s=WAIT_S))
    except AgentSilent:
        return []
    if snapshot.telemetry is None:
        return []
    servers = SeenTelemetry.of(snapshot.telemetry).servers
    return [server for server in servers if server.tier == "cloud" and server.trust]


def _fingerprint(text: str) -> str:
    try:
        return read_fingerprint(text)
    except ValueError as error:
        raise NotTrusted(f"--fingerprint {error}") from None


def _claimed(settings: Settings, peer_id: str, url: str | None, seconds: float) -> PeerRecord:
    if any(server.id == peer_id for server in settings.peers):
        raise NotTrusted(f"the site file names {peer_id} already, and its URL there is used")
    rules = address_rules(settings)
    found = anyio.run(claims, settings, peer_id, seconds)
    problems = [f"{one.url} {problem}" for one in found if (problem := rules.url_problem(one.url))]
    usable = [one for one in found if rules.url_problem(one.url) is None and url in (None, one.url)]
    if not usable:
        reason = "; ".join(problems) or f"none announced itself within {seconds:g} s"
        raise NotTrusted(f"there is no peer {peer_id} to trust: {reason}")
    if len(usable) > 1:
        urls = ", ".join(one.url for one in usable)
        raise NotTrusted(f"several announce the id {peer_id}: {urls}: choose the right one with --url")
    return usable[0]


def _seen(settings: Settings, record: PeerRecord) -> SeenCertificate | None:
    """Returns the certificate that a peer shows; None if it does not use TLS, and may be trusted so."""
    trusted = settings.discovery.trust
    if record.tls:
        own = ClientTls(None, trusted.cert_file, trusted.key_file)
        return anyio.run(seen_certificate, record.url, address_rules(settings).problem, own)
    if trusted.mode != "any" and not trusted.allow_plaintext:
        raise NotTrusted(
            f"{record.url} does not use TLS, so nothing would prove who answers: serve it with TLS, or write "
            "`trust: {allow_plaintext: true}` under discovery in the site file"
        )
    return None


def _lines(record: PeerRecord, seen: SeenCertificate | None) -> list[str]:
    lines = [f"peer:        {record.id} at {record.url}"]
    if seen is None:
        return [*lines, PLAIN_WARNING]
    return [
        *lines,
        f"certificate: {seen.subject or 'without a subject'}, for {', '.join(seen.hosts) or 'no host'}",
        f"signed by:   {seen.issuer or 'without a name'} (not checked)",
        f"valid:       {seen.valid_from:%Y-%m-%d} to {seen.valid_until:%Y-%m-%d}",
        f"fingerprint: {seen.fingerprint}",
        "Compare the fingerprint with the one that the server shows on its own machine.",
    ]
