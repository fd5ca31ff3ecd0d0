"""`inarvl status`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from agent import client
from agent.answering.agreement_report import WINDOW
from agent.cli.figures import amount, labelled, milliseconds, percent
from agent.cli.options import Config, Json
from agent.config.settings import site_settings
from agent.messages.seen_telemetry import (
    SeenAgreement,
    SeenCamera,
    SeenLink,
    SeenServer,
    SeenSpend,
    SeenTelemetry,
)
from inarvl.terminal import explained, plain, print_json


def status(
    config: Config = None,
    wait_s: Annotated[float, typer.Option(help="Seconds to wait for the broker.")] = 3.0,
    as_json: Json = False,
) -> None:
    """Show the agent's status; the exit status is 1 if it is not online."""
    with explained("inarvl"):
        settings = site_settings(config)
        snapshot = anyio.run(partial(client.status, settings, wait_s=wait_s))
        if as_json:
            print_json({"device": settings.device, **vars(snapshot)})
        else:
            _print(settings.device, snapshot)
    if snapshot.status != "online":
        raise typer.Exit(1)


def _print(device: str, snapshot: client.Snapshot) -> None:
    screen = Console()
    screen.print(plain(f"agent {device}: {snapshot.status or 'unknown to the broker'}"))
    if snapshot.telemetry is not None:
        telemetry = SeenTelemetry.of(snapshot.telemetry)
        for problem in telemetry.problems:
            screen.print(plain(f"problem: {problem}"), style="red")
        screen.print(plain(f"mode: {snapshot.mode}"))
        screen.print(_servers(telemetry.servers))
        for part in ("controller", "device"):
            values = ", ".join(labelled(name, value) for name, value in getattr(telemetry, part).items())
            screen.print(plain(f"{part}: {values}"))
        if telemetry.cameras:
            screen.print(_cameras(telemetry.cameras))
        for line in (*agreement_lines(telemetry.agreement), *spend_lines(telemetry.spend)):
            screen.print(plain(line))


def agreement_lines(agreement: SeenAgreement) -> list[str]:
    """Returns how often answers agree, by form, who judges it, and what to do where they almost never do."""
    lines = [
        f"agreement on {form}: {percent(count.mean_p_same)} of the last {min(count.compared, WINDOW)} "
        f"comparisons, {percent(count.judged_share)} of all {count.compared:,} judged"
        for form, count in agreement.forms.items()
    ]
    judge = agreement.judge
    for model, trial in judge.models.items():
        lines.append(f"judge: {model} is {'used' if trial.used else 'not used'}: {trial.finding}")
    if judge.calls:
        energy = amount(judge.energy_j, "J")
        lines.append(f"judging used {judge.calls:,} calls, {judge.tokens:,} tokens and {energy}")
    return lines + [f"warning: {warning}" for warning in agreement.warnings]


def _cameras(cameras: Iterable[SeenCamera]) -> Table:
    table = Table("camera", "works", "last picture", "asked", "answered", "dropped pictures", "last error")
    for camera in cameras:
        table.add_row(
            plain(camera.camera),
            "no" if camera.failing else "yes",
            "none" if camera.picture_age_s is None else f"{camera.picture_age_s:.0f} s ago",
            str(camera.asked),
            str(camera.answered),
            str(camera.dropped),
            plain(camera.error or ""),
        )
    return table


def spend_lines(spend: SeenSpend) -> list[str]:
    """Returns what was spent today and for what; nothing without a spend or a cap."""
    if not spend.today and spend.per_day is None:
        return []
    cap = "" if spend.per_day is None else f" of {spend.per_day:g}"
    parts = [f"{purpose} {amount:.4f}" for purpose, amount in spend.purposes.items() if amount]
    detail = f" ({', '.join(parts)})" if parts else ""
    return [f"spend today: {spend.today:.4f}{cap} {spend.currency}{detail}"]


def _servers(servers: Iterable[SeenServer]) -> Table:
    table = Table("server", "tier", "trust", "healthy", "models", "rtt", "uplink")
    for server in servers:
        link = server.link or SeenLink()
        table.add_row(
            plain(server.id),
            server.tier,
            plain(server.trust or ""),
            "yes" if server.healthy else plain(f"no: {server.problem or 'not checked yet'}"),
            plain(", ".join(server.models)),
            "" if link.rtt_ms is None else milliseconds(link.rtt_ms),
            "" if link.uplink_mbps is None else amount(link.uplink_mbps, "Mbit/s"),
        )
    return table
