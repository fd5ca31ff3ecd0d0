"""What every inarvl command does when it cannot do what it was asked to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from inarvl.errors import InarvlError


@contextmanager
def explained(program: str) -> Iterator[None]:
    """End with a sentence and exit status 1 instead of a traceback where an error is expected."""
    try:
        yield
    except InarvlError as error:
        typer.secho(f"{program}: {error}", err=True, fg="red")
        raise typer.Exit(1) from error
