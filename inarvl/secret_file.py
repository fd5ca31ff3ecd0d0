"""Reads secrets: passwords, API keys and tokens, each in a file of its own.

A secret's file is a path, or `credential:NAME`: a file that systemd gives to this unit alone, by
LoadCredential or SetCredentialEncrypted (systemd.exec(5), "CREDENTIALS").
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from inarvl.errors import InarvlError
from inarvl.redaction import hide

SCHEME = "credential:"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_BYTES = 65_536


class SecretUnavailable(InarvlError):
    """A secret cannot be read, or its file holds something else; the message never has its content."""

    code = "secret_unavailable"


def is_credential(file: Path | str) -> bool:
    """Returns whether `file` names a credential of the unit, and not a path."""
    return str(file).startswith(SCHEME)


def secret_path(file: Path | str) -> Path:
    """Returns the path of a secret's file, or of a key file for TLS.

    Raises:
        SecretUnavailable: it is a credential that this process was not given.
    """
    if not is_credential(file):
        return Path(file)
    name = str(file).removeprefix(SCHEME)
    if not NAME.fullmatch(name):
        raise SecretUnavailable(
            "a credential's name has letters, digits, dots, dashes and underscores: write credential:NAME"
        )
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise SecretUnavailable(
            f"{file}: this process has no credentials, which systemd gives to the unit only; add "
            f"`LoadCredential={name}:/etc/inarvl/{name}` with `systemctl edit`, or run this in the unit"
        )
    path = Path(folder) / name
    if not path.is_file():
        raise SecretUnavailable(
            f"{file}: the unit has no such credential; add `LoadCredential={name}:/etc/inarvl/{name}` with "
            "`systemctl edit` and restart it"
        )
    return path


def read_secret(file: Path | str) -> str:
    """Returns the secret in a file, without blanks around it, and hides it from then on.

    Raises:
        SecretUnavailable: it cannot be read, is empty, or is not one line of text.
    """
    path = secret_path(file)
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise SecretUnavailable(
            f"{file}: the secret cannot be read ({error.strerror}); make the file readable for this process"
        ) from None
    try:
        secret = content.decode().strip()
    except UnicodeDecodeError:
        secret = "\0"
    if not secret:
        raise SecretUnavailable(f"{file}: the file is empty; write the secret into it")
    if len(content) > MAX_BYTES or not secret.isprintable():
        raise SecretUnavailable(f"{file}: a secret is one line of text; write nothing else into the file")
    hide(secret)
    return secret
