"""`inarvl profile`: hardware profiles."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import anyio
import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from agent.calibration.calibrator import Calibrator, Plan
from agent.calibration.profile_yaml import to_yaml
from agent.calibration.result import Calibration
from agent.config.settings import Settings, site_settings
from agent.config.yaml_file import ConfigError
from agent.peers import mdns
from agent.peers.site_file import site_records
from agent.profile import schema as profile_schema
from agent.profile.choice import choose_profile
from agent.profile.identity import BoardIdentity
from agent.profile.loading import SITE_FOLDER, bundled, load_profile, site_profiles
from agent.profile.profile import Profile
from inarvl.terminal import explained

LISTEN_S = 2.0

app = typer.Typer(help="List, show, check and measure hardware profiles.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option(help="The site file.")]


@app.command("list")
def list_profiles() -> None:
    """List the profiles and say which one fits this board."""
    with explained("inarvl"):
        board = BoardIdentity.here()
        chosen = choose_profile(board)
        table = Table("", "profile", "model has", "cores", "memory", "from")
        for name in (*map(str, site_profiles()), *bundled()):
            profile = load_profile(name)
            match = profile.match
            table.add_row(
                "*" if profile == chosen else "",
                profile.name,
                match.model or "",
                f"{match.cores}" if match.cores else "",
                f"{match.memory_gb:g} GB" if match.memory_gb else "",
                name if profile.name != name else "inarvl",
            )
    screen = Console()
    screen.print(table)
    said = board.model or "no device tree"
    screen.print(
        f"this board: {said}, {board.cores} cores, {board.memory_gb:.1f} GB; it gets {chosen.name} (*)"
    )


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="A name or a file; this board's when left out.")] = None,
) -> None:
    """Print a profile with all that it extends."""
    with explained("inarvl"):
        profile = choose_profile() if name is None else load_profile(_found(name))
    typer.echo(yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="Profile files.")]) -> None:
    """Check profiles; every fault with its place and what to write instead."""
    faulty = False
    for file in files:
        try:
            load_profile(str(file))
            typer.echo(f"{file}: valid")
        except ConfigError as error:
            faulty = True
            typer.secho(str(error), err=True, fg="red")
    if faulty:
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    typer.echo(profile_schema.schema_text(), nl=False)


@app.command()
def new(
    name: Annotated[
        str | None, typer.Option(help="What to call it; the device's name when left out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help=f"The file; NAME.yaml in {SITE_FOLDER} when left out.")
    ] = None,
    extends: Annotated[str | None, typer.Option(help="What it extends; else what fits the board.")] = None,
    idle_s: Annotated[float, typer.Option(min=3, help="Seconds of rest to take the idle power over.")] = 15,
    runs: Annotated[int, typer.Option(min=1, help="Answers of each model at each resolution.")] = 5,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    config: Config = None,
) -> None:
    """Measure this machine, its models and its links, and write a profile that the agent then runs on."""
    with explained("inarvl"):
        settings = site_settings(config)
        name = name or settings.device
        path = output or SITE_FOLDER / f"{name}.yaml"
        if path.exists() and not force:
            raise ConfigError(f"{path} is there already: say --force to write over it, or another --output")
        base = load_profile(extends) if extends else _base()
        plan = Plan(idle_s, runs, settings.intake.max_tokens)
        measured = anyio.run(_measure, settings, base, plan)
        _write(path, to_yaml(measured, base, name=name, date=datetime.date.today().isoformat()))
        load_profile(str(path))
    for reason in measured.skipped:
        typer.secho(f"not measured: {reason}", err=True, fg="yellow")
    typer.echo(f"{path}: written, and good")
    if path.parent == SITE_FOLDER and settings.profile == "auto":
        typer.echo("the agent takes it at its next start: systemctl restart inarvl-agent")
    else:
        typer.echo(f"for the agent to run on it, write `profile: {path.absolute()}` into the site file")


def _base() -> Profile:
    """What fits among the bundled ones: a measured profile is not to extend an older measurement."""
    return choose_profile(folder=Path("/nonexistent"))


def _found(name: str) -> str:
    own = {load_profile(str(path)).name: str(path) for path in site_profiles()}
    return own.get(name, name)


async def _measure(settings: Settings, base: Profile, plan: Plan) -> Calibration:
    peers = site_records(settings)
    if settings.discovery.zeroconf:
        peers |= await mdns.listen(LISTEN_S)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True)
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        return await Calibrator(base, plan, report).calibrate(settings.local, peers, settings.api_keys())


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): run as root, or name another file by --output"
        ) from None
