"""`inarvl-bench`: record what arms do, and tell what follows from it."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Record what every arm does on every question, and tell what follows from it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Record what every arm does on every question, and tell what follows from it."""
