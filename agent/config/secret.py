"""Secrets of the site file: it names their files, and never has the secrets themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from agent.config.yaml_file import ConfigError
from inarvl.secret_file import NAME, SCHEME, SecretUnavailable, read_secret, secret_path

__all__ = ["SecretFile", "optional_secret", "secret_file_path"]


def _as_file(value: object) -> object:
    """Checks the form; the message does not repeat the value, which may be the secret itself."""
    form = f"must be the absolute path of a file that has the secret, or {SCHEME}NAME"
    text = str(value)
    if text.startswith(SCHEME):
        if not NAME.fullmatch(text.removeprefix(SCHEME)):
            raise ValueError(f"{form}, where NAME has letters, digits, dots, dashes and underscores")
    elif not text.startswith("/") or not text.isprintable():
        raise ValueError(form)
    return value


SecretFile = Annotated[Path, BeforeValidator(_as_file)]
"""The file of a secret in a Section: an absolute path, or `credential:NAME`."""


def secret_file_path(file: Path | None) -> Path | None:
    """Returns the path of a key file that a library reads; None for None.

    Raises:
        ConfigError: it is a credential that the unit does not have.
    """
    try:
        return None if file is None else secret_path(file)
    except SecretUnavailable as error:
        raise ConfigError(str(error)) from None


def optional_secret(file: Path | None) -> str | None:
    """Returns the secret in `file`; None for None.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return None if file is None else read_secret(file)
    except SecretUnavailable as error:
        raise ConfigError(str(error)) from None
