"""`inarvl profile new`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from agent.calibration.calibrator import Calibrator, Plan
from agent.calibration.comparison import differences
from agent.calibration.profile_yaml import to_yaml
from agent.calibration.public import public, public_name
from agent.calibration.result import Calibration
from agent.cli.options import Config
from agent.config.settings import Settings, site_settings
from agent.config.yaml_file import ConfigError
from agent.peers.survey import survey
from agent.profile.choice import AUTO, choose_profile
from agent.profile.identity import BoardIdentity
from agent.profile.loading import SITE_FOLDER, load_profile
from agent.profile.profile import Profile
from agent.sensing.plug import plug_of
from inarvl.terminal import explained

LISTEN_S = 2.0


def new(
    name: Annotated[str | None, typer.Option(help="Name of the profile; default: the device's name.")] = None,
    output: Annotated[
        Path | None, typer.Option(help=f"File to write; default: NAME.yaml in {SITE_FOLDER}.")
    ] = None,
    extends: Annotated[
        str | None, typer.Option(help="Profile to extend; default: the bundled one that fits this board.")
    ] = None,
    idle_s: Annotated[float, typer.Option(min=3, help="Seconds over which idle power is measured.")] = 15,
    runs: Annotated[int, typer.Option(min=1, help="Least answers of each model at each resolution.")] = 6,
    most_runs: Annotated[
        int, typer.Option(min=1, help="Most of them: more are asked for until the time is known within 5%.")
    ] = 30,
    submit: Annotated[
        bool,
        typer.Option(
            "--submit",
            help="Write a file to send to the project: the board and its own models only, without names "
            "and addresses of this site.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    config: Config = None,
) -> None:
    """Measure this machine, its models and its network paths, and write a profile that the agent can use."""
    with explained("inarvl"):
        settings = site_settings(config)
        if name is None:
            name = public_name(BoardIdentity.here()) if submit else settings.device
        path = output or (Path() if submit else SITE_FOLDER) / f"{name}.yaml"
        if path.exists() and not force:
            raise ConfigError(f"{path} exists already: replace it with --force, or use another --output")
        base = load_profile(extends) if extends else _bundled_base()
        plan = Plan(idle_s, runs, most_runs, settings.intake.max_tokens)
        calibration = anyio.run(_calibrate, settings, base, plan)
        if submit:
            calibration = public(calibration)
        _write(path, to_yaml(calibration, base, name=name, date=datetime.date.today().isoformat()))
        load_profile(str(path))
    for reason in calibration.skipped:
        typer.secho(f"not measured: {reason}", err=True, fg="yellow")
    for doubt in calibration.doubts:
        typer.secho(f"doubtful: {doubt}", err=True, fg="yellow")
    for difference in differences(calibration, base):
        typer.echo(f"differs: {difference}")
    typer.echo(f"{path}: written and valid")
    if submit:
        typer.echo("read it through, then send it as profiles/NAME.yaml in a pull request")
        return
    if path.parent == SITE_FOLDER and settings.profile == AUTO:
        typer.echo("restart the agent to use it: systemctl restart inarvl-agent")
    else:
        typer.echo(f"to use it, write `profile: {path.absolute()}` in the site file and restart the agent")


def _bundled_base() -> Profile:
    """The bundled profile that fits: a measured profile does not extend an older measurement."""
    return choose_profile(folder=Path("/nonexistent"))


async def _calibrate(settings: Settings, base: Profile, plan: Plan) -> Calibration:
    found = [peer for peer in await survey(settings, LISTEN_S) if peer.may_contact]
    peers = {peer.record.id: await peer.client() for peer in found}
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True)
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        plug = plug_of(base, settings.mqtt_options(f"inarvl-{settings.device}-profile"))
        calibrator = Calibrator(base, plan, report, plug=plug)
        return await calibrator.calibrate(settings.local, peers)


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): run as root, or write another file with --output"
        ) from None
