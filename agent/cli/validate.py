"""`inarvl validate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.config.settings import Settings
from agent.config.yaml_file import check, read
from agent.profile.choice import AUTO
from agent.profile.loading import load_profile
from inarvl.secret_file import is_credential
from inarvl.terminal import explained


def validate(
    file: Annotated[Path, typer.Argument(help="A site file or a hardware profile.")],
) -> None:
    """Check a YAML file; every error names its place and says what to do."""
    with explained("inarvl"):
        content = read(file)
        if {"power", "match", "extends"} & content.keys():
            load_profile(str(file))
            typer.echo(f"{file}: a valid hardware profile")
        else:
            settings = check(content, Settings, str(file))
            if settings.profile != AUTO:
                load_profile(settings.profile)
            typer.echo(f"{file}: a valid site file")
            for secret in settings.secret_files:
                if not is_credential(secret) and not os.access(secret, os.R_OK):
                    typer.echo(f"{secret}: cannot be read here; the agent must be able to read it", err=True)
