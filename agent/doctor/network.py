"""Checks of what the agent talks to: broker, model server, peers."""

from __future__ import annotations

import uuid
from pathlib import Path

from agent import client
from agent.client import AgentSilent
from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.peers import mdns
from agent.peers.site_file import site_records
from agent.profile.profile import Profile
from cloud.peer import PeerRecord
from vlm import bundled
from vlm.client import VlmClient
from vlm.errors import VlmError

PATIENCE_S = 5.0
LISTEN_S = 2.0
ENVIRONMENT = Path("/etc/inarvl/vlm.env")


async def broker(settings: Settings, profile: Profile) -> list[Finding]:
    """Can messages be sent and received? A broker grants what it then denies, so it is tried."""
    url = settings.broker.url
    try:
        came = await client.echo(settings, f"doctor-{uuid.uuid4().hex[:8]}", timeout_s=PATIENCE_S)
    except AgentSilent:
        return [
            failed(
                f"no broker answers at {url}",
                "start it (`systemctl start mosquitto`), or mend broker.url, "
                "username and password_file in the site file",
            )
        ]
    if not came:
        return [
            failed(
                f"{url} takes the connection and passes no message on",
                f"let its access list read and write inarvl/{settings.device}/#",
            )
        ]
    return [ok(f"{url} passes messages on")]


async def model(settings: Settings, profile: Profile) -> list[Finding]:
    """Does the board's own server answer, and is what it serves there?"""
    found = _model_files()
    if settings.local is None:
        return [*found, ok("no local model is wanted: the cloud answers all")]
    client = VlmClient(settings.local)
    try:
        if await client.ready():
            names = ", ".join(card.id for card in await client.models())
            return [*found, ok(f"{settings.local} serves {names}")]
        fact = f"no model server is ready at {settings.local}"
    except VlmError as error:
        fact = str(error)
    finally:
        await client.aclose()
    return [*found, failed(fact, "`systemctl status inarvl-vlm` says why, or write `local: null`")]


async def peers(settings: Settings, profile: Profile) -> list[Finding]:
    """Does any peer answer, and how far is it?"""
    known = site_records(settings)
    if settings.discovery.zeroconf:
        known |= await mdns.listen(LISTEN_S)
    if not known:
        return [
            warning(
                "none is named in the site file or announces itself here",
                "start inarvl-cloud here, name one under peers, or wait for one the broker tells of",
            )
        ]
    keys = settings.api_keys()
    return [await _peer(record, keys.get(name)) for name, record in known.items()]


async def _peer(record: PeerRecord, key: str | None) -> Finding:
    client = VlmClient(record.url, api_key=key)
    try:
        if not await client.ready():
            return warning(
                f"{record.id} at {record.url} is not ready", "start it, or wait until it has loaded"
            )
        names = ", ".join(card.id for card in await client.models())
        pings = [await client.ping() for _ in range(3)]
        rtt_ms = min(ping.rtt_ms - (ping.server_ms or 0.0) for ping in pings)
        return ok(f"{record.id} at {record.url} serves {names}, {rtt_ms:.1f} ms away")
    except VlmError as error:
        return warning(f"{record.id}: {error}", "see its log and the network between")
    finally:
        await client.aclose()


def _model_files() -> list[Finding]:
    """What the unit of the model server is to serve."""
    try:
        lines = ENVIRONMENT.read_text().splitlines()
    except OSError:
        return []
    wanted = next((line.partition("=")[2].strip("'\" ") for line in lines if line.startswith("MODEL=")), None)
    if wanted is None:
        return []
    name = wanted.removeprefix("bundled:")
    if name != wanted and name not in bundled.names():
        known = ", ".join(bundled.names())
        return [failed(f"{ENVIRONMENT}: there is no bundled model {name!r}", f"name one of {known}")]
    folder = Path(wanted)
    if folder.is_absolute() and not (folder / "config.json").is_file():
        return [failed(f"{ENVIRONMENT}: {folder} holds no config.json", "name a checkpoint's folder")]
    return [ok(f"{ENVIRONMENT} names {wanted}")]
