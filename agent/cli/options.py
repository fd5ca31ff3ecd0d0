"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.config.settings import SITE_FILE

Config = Annotated[Path | None, typer.Option(help=f"The site file; default: {SITE_FILE}, if it exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log each query with its id at every step.")]
