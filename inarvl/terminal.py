"""How every inarvl command reports an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from inarvl.errors import InarvlError


@contextmanager
def explained(program: str) -> Iterator[None]:
    """Prints an InarvlError as one line and exits with status 1, without a traceback."""
    try:
        yield
    except InarvlError as error:
        typer.secho(f"{program}: {error}", err=True, fg="red")
        raise typer.Exit(1) from error
