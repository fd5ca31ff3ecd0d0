"""How every inarvl command writes text: errors, and what remote hosts sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.text import Text

from inarvl.errors import InarvlError
from inarvl.interrupt import interruptible
from inarvl.logs import redact_tracebacks
from inarvl.printable import printable
from inarvl.redaction import redacted, redacted_json


def plain(text: object, style: str = "") -> Text:
    """Returns `printable` text without secrets for rich, which reads no markup in it."""
    return Text(printable(redacted(str(text))), style)


def print_json(document: Any, *, one_line: bool = False) -> None:
    """Prints one JSON document in ASCII without secrets; NaN and infinity, which JSON lacks, become null."""
    finite = json.loads(json.dumps(redacted_json(document)), parse_constant=lambda _name: None)
    typer.echo(json.dumps(finite, indent=None if one_line else 2))


@contextmanager
def explained(program: str, status: int = 1) -> Iterator[None]:
    """Prints an InarvlError as one line and exits with `status`, without a traceback."""
    redact_tracebacks()
    try:
        with interruptible():
            yield
    except InarvlError as error:
        typer.secho(f"{program}: {printable(redacted(str(error)))}", err=True, fg="red")
        raise typer.Exit(status) from error
