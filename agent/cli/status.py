"""`inarvl status`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import anyio
import typer
from rich.console import Console
from rich.table import Table

from agent import client
from agent.answering.agreement_report import WINDOW
from agent.cli.options import Config, Json
from agent.config.settings import site_settings
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
        for problem in snapshot.telemetry.get("problems", ()):
            screen.print(plain(f"problem: {problem}"), style="red")
        screen.print(plain(f"mode: {snapshot.mode}"))
        screen.print(_servers(snapshot.telemetry["servers"]))
        for part in ("controller", "device"):
            values = ", ".join(f"{name} {value}" for name, value in snapshot.telemetry[part].items())
            screen.print(plain(f"{part}: {values}"))
        for line in agreement_lines(snapshot.telemetry.get("agreement", {})):
            screen.print(plain(line))


def agreement_lines(agreement: dict[str, Any]) -> list[str]:
    """Returns how often answers agree, by form, who judges it, and what to do where they almost never do."""
    lines = [
        f"agreement on {form}: {count['mean_p_same']:.0%} of the last {min(count['compared'], WINDOW)} "
        f"comparisons, {count['judged_share']:.0%} of all {count['compared']} judged"
        for form, count in agreement.get("forms", {}).items()
    ]
    judge = agreement.get("judge", {})
    for model, trial in judge.get("models", {}).items():
        lines.append(f"judge: {model} is {'used' if trial['used'] else 'not used'}: {trial['finding']}")
    if judge.get("calls"):
        lines.append(
            f"judging used {judge['calls']} calls, {judge['tokens']} tokens and {judge['energy_j']:.1f} J"
        )
    return lines + [f"warning: {warning}" for warning in agreement.get("warnings", [])]


def _servers(servers: list[dict[str, Any]]) -> Table:
    table = Table("server", "tier", "trust", "healthy", "models", "rtt", "uplink")
    for server in servers:
        link = server["link"] or {}
        rtt_ms, mbps = link.get("rtt_ms"), link.get("uplink_mbps")
        table.add_row(
            plain(server["id"]),
            plain(server["tier"]),
            plain(server.get("trust", "")),
            "yes" if server["healthy"] else plain(f"no: {server.get('problem') or 'not checked yet'}"),
            plain(", ".join(server["models"])),
            "" if rtt_ms is None else f"{rtt_ms:.1f} ms",
            "" if mbps is None else f"{mbps:.1f} Mbit/s",
        )
    return table
