"""`inarvl profile`: hardware profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from agent.cli.options import Json
from agent.cli.profile_new import new
from agent.config.yaml_file import ConfigError
from agent.profile import schema as profile_schema
from agent.profile.choice import choose_profile
from agent.profile.identity import BoardIdentity
from agent.profile.loading import bundled, load_profile, site_profiles
from inarvl.terminal import explained, print_json

app = typer.Typer(help="List, show, check and measure hardware profiles.", no_args_is_help=True)


@app.command("list")
def list_profiles(as_json: Json = False) -> None:
    """List the profiles, and show which one fits this board."""
    with explained("inarvl"):
        board = BoardIdentity.here()
        chosen = choose_profile(board)
        found = [(name, load_profile(name)) for name in (*map(str, site_profiles()), *bundled())]
    if as_json:
        print_json(
            {
                "board": {"model": board.model, "cores": board.cores, "memory_gb": board.memory_gb},
                "profile": chosen.name,
                "profiles": [
                    {
                        "name": profile.name,
                        "file": name if profile.name != name else None,
                        "match": profile.match.model_dump(mode="json"),
                    }
                    for name, profile in found
                ],
            }
        )
        return
    table = Table("", "profile", "recognised by", "cores", "memory", "from")
    for name, profile in found:
        match = profile.match
        table.add_row(
            "*" if profile == chosen else "",
            profile.name,
            ", ".join((*match.module, *match.models, *match.soc)) or match.gpu or "",
            f"{match.cores}" if match.cores else "",
            f"{match.memory_gb:g} GB" if match.memory_gb else "",
            name if profile.name != name else "inarvl",
        )
    screen = Console()
    screen.print(table)
    described = f"{board.model or 'no device tree'}, {board.cores} cores, {board.memory_gb:.1f} GB"
    screen.print(f"this board: {described}; its profile is {chosen.name} (*)")


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(help="A name or a file; default: the profile of this board.")
    ] = None,
) -> None:
    """Print a profile, including everything that it extends."""
    with explained("inarvl"):
        profile = choose_profile() if name is None else load_profile(_path_or_name(name))
    typer.echo(yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="Profile files.")]) -> None:
    """Check profiles; every error names its place and says what to write instead."""
    invalid = False
    for file in files:
        try:
            load_profile(str(file))
            typer.echo(f"{file}: valid")
        except ConfigError as error:
            invalid = True
            typer.secho(str(error), err=True, fg="red")
    if invalid:
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    typer.echo(profile_schema.schema_text(), nl=False)


app.command()(new)


def _path_or_name(name: str) -> str:
    """The file of the site's own profile called `name`; else `name`, which is a bundled profile or a file."""
    own = {load_profile(str(path)).name: str(path) for path in site_profiles()}
    return own.get(name, name)
