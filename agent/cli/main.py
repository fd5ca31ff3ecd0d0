"""`inarvl`: the agent, and what is needed to look after it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import anyio
import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent import client
from agent.cli import profile as profile_cli
from agent.config.settings import SITE_FILE, Settings, site_settings
from agent.config.yaml_file import check, read
from agent.daemon import malloc
from agent.daemon.daemon import Daemon
from agent.doctor.doctor import run_checks, worst_verdict
from agent.doctor.finding import Finding
from agent.messages.query import Query
from agent.messages.reply import Answer
from agent.peers import mdns
from agent.profile.choice import configured_profile
from agent.profile.loading import load_profile
from agent.profile.profile import Profile
from inarvl import logs
from inarvl.terminal import explained

T = TypeVar("T")

app = typer.Typer(
    help="Answer questions about camera images on a small board, with the cloud's help where it pays.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(profile_cli.app, name="profile")
Config = Annotated[Path | None, typer.Option(help=f"The site file; {SITE_FILE} where it exists.")]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]


@app.command()
def run(config: Config = None, log_level: LogLevel = "info") -> None:
    """Run the agent until it is told to stop."""
    logs.configure(log_level)
    malloc.limit_arenas()
    with explained("inarvl"):
        settings = site_settings(config)
        profile = configured_profile(settings.profile)
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        daemon = Daemon(
            settings, profile, rng=np.random.default_rng(), reread=lambda: _settings_and_secrets(config)
        )
        anyio.run(daemon.run)


@app.command()
def ask(
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A JPEG or PNG file.")],
    question: Annotated[str, typer.Argument(help="What to ask about it.")],
    pin: Annotated[str | None, typer.Option(help="local or cloud: the only tier that may answer.")] = None,
    timeout_s: Annotated[float, typer.Option(min=0.1)] = 30.0,
    config: Config = None,
) -> None:
    """Ask the running agent one question."""
    with explained("inarvl"):
        fields = {
            "question": question,
            "client": f"ask-{uuid.uuid4().hex[:12]}",
            "deadline_ms": timeout_s * 1e3,
        }
        query = Query.from_fields(fields | ({"pin": pin} if pin else {}), image.read_bytes())
        settings = site_settings(config)
        reply = _await(lambda: client.ask(settings, query, timeout_s=timeout_s + 2))
    if not isinstance(reply, Answer):
        typer.secho(f"inarvl: {reply.code}: {reply.message}", err=True, fg="red")
        raise typer.Exit(1)
    typer.echo(reply.answer)
    energy = "" if reply.energy_j is None else f", {reply.energy_j:.2f} J {reply.energy_source}"
    typer.secho(
        f"{reply.tier} {reply.model}, {reply.latency_ms:.0f} ms{energy}; {reply.reason}", err=True, dim=True
    )


@app.command()
def discover(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = 3.0,
) -> None:
    """List the peers that announce themselves on the local network."""
    with explained("inarvl"):
        found = _await(lambda: mdns.listen(seconds))
    table = Table("peer", "url", "models", "version")
    for record in found.values():
        table.add_row(record.id, record.url, ", ".join(record.models), record.version)
    Console().print(table if found else f"no peer announced itself within {seconds:g} s")
    if not found:
        raise typer.Exit(1)


@app.command()
def status(config: Config = None, wait_s: float = 3.0) -> None:
    """Show what the agent says of itself; exit status 1 unless it is online."""
    with explained("inarvl"):
        settings = site_settings(config)
        snapshot = _await(lambda: client.status(settings, wait_s=wait_s))
    screen = Console()
    screen.print(f"agent [b]{settings.device}[/b]: {snapshot.status or 'unknown to the broker'}")
    if snapshot.telemetry is not None:
        screen.print(f"mode: {snapshot.mode}")
        servers = Table("server", "tier", "healthy", "models", "rtt", "uplink")
        for server in snapshot.telemetry["servers"]:
            link = server["link"] or {}
            rtt_ms, mbps = link.get("rtt_ms"), link.get("uplink_mbps")
            servers.add_row(
                server["id"],
                server["tier"],
                "yes" if server["healthy"] else "no",
                ", ".join(server["models"]),
                "" if rtt_ms is None else f"{rtt_ms:.1f} ms",
                "" if mbps is None else f"{mbps:.1f} Mbit/s",
            )
        screen.print(servers)
        for part in ("controller", "device"):
            said = ", ".join(f"{name} {value}" for name, value in snapshot.telemetry[part].items())
            screen.print(f"{part}: {said}")
    if snapshot.status != "online":
        raise typer.Exit(1)


@app.command()
def doctor(config: Config = None) -> None:
    """Check all that the agent needs; exit status 1 when something fails, 0 with or without warnings."""
    screen, findings = Console(), list[Finding]()
    colours = {"ok": "green", "warning": "yellow", "failed": "red"}

    async def examine(settings: Settings, profile: Profile) -> None:
        async for examined in run_checks(settings, profile):
            findings.extend(examined.findings)
            for finding in examined.findings:
                colour = colours[finding.verdict]
                screen.print(
                    f"[{colour}]{finding.verdict:8}[/] {examined.name:12} {escape(finding.fact)}",
                    soft_wrap=True,
                    highlight=False,
                )
                if finding.remedy:
                    screen.print(f"{'':21} -> {escape(finding.remedy)}", soft_wrap=True, highlight=False)

    with explained("inarvl"):
        settings = site_settings(config)
        with logs.silent("agent"):  # what it would warn of are findings
            profile = configured_profile(settings.profile)
            _await(lambda: examine(settings, profile))
    if worst_verdict(findings) == "failed":
        raise typer.Exit(1)


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A site file or a hardware profile.")],
) -> None:
    """Check a YAML file and say what is wrong with it, and where."""
    with explained("inarvl"):
        content = read(file)
        if {"power", "match", "extends"} & content.keys():
            load_profile(str(file))
            typer.echo(f"{file}: a good hardware profile")
        else:
            settings = check(content, Settings, str(file))
            if settings.profile != "auto":
                load_profile(settings.profile)
            typer.echo(f"{file}: a good site file")


def _settings_and_secrets(config: Path | None) -> Settings:
    """Settings of which the secrets can be read as well."""
    settings = site_settings(config)
    settings.api_keys()
    return settings


def _await(task: Callable[[], Awaitable[T]]) -> T:
    return anyio.run(task)
