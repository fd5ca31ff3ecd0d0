"""What all inarvl programs have in common on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from inarvl import __version__


def program(name: str, purpose: str) -> typer.Typer:
    """Returns a program without commands, which shows its version and, without arguments, its help."""
    app = typer.Typer(name=name, help=purpose, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_options)
    return app


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(f"{context.command.name} {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    pass
