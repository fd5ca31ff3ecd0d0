"""The tokens with which clients may use a server: `Authorization: Bearer TOKEN`.

1. Each line of the file is a token, or NAME:TOKEN if the token belongs to one client. Blank lines, and lines
   that begin with #, are ignored. With two tokens in the file, clients change from one to the other while
   both are valid.
2. The file is read again when it has changed. If it then cannot be read or is invalid, the old tokens stay.
3. A token is kept and compared as its SHA-256 digest, with all of them in the same time.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from pathlib import Path

from inarvl.errors import InarvlError
from inarvl.redaction import hide
from inarvl.watched_files import WatchedFiles

log = logging.getLogger(__name__)

MIN_LENGTH, MAX_TOKENS = 16, 1024
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOW_TO_MAKE = "`inarvl-cloud keygen token FILE` makes one"


class BadTokenFile(InarvlError):
    """A file of tokens cannot be used; the message says what to do."""

    code = "bad_token_file"


class BearerTokens:
    """The tokens in a file.

    Raises:
        BadTokenFile: the file cannot be read, has no token, or has an invalid one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = WatchedFiles((path,))
        self._files.changed()
        self._names = _read(path)

    def accept(self, authorization: str | None) -> bool:
        """Returns whether the value of the header `Authorization` has one of the tokens."""
        return self._owner(authorization) is not None

    def name_of(self, authorization: str | None) -> str | None:
        """Returns the client to which the token in the header `Authorization` belongs; None if to no one."""
        return self._owner(authorization) or None

    def _owner(self, authorization: str | None) -> str | None:
        """Returns the name beside the token, "" if it has none; None if the token is not valid."""
        self._read_again()
        scheme, _, token = (authorization or "").partition(" ")
        given = _digest(token.strip())
        found = [name for digest, name in self._names.items() if hmac.compare_digest(given, digest)]
        return found[0] if found and scheme.lower() == "bearer" else None

    def _read_again(self) -> None:
        if not self._files.changed():
            return
        try:
            names = _read(self._path)
        except BadTokenFile as error:
            log.error("the tokens that were read before stay valid: %s", error)
            return
        if names != self._names:
            log.info("%s has changed: %d tokens", self._path, len(names))
        self._names = names


def first_token(path: Path) -> str:
    """Returns the first token in a file, for a client.

    Raises:
        BadTokenFile: see BearerTokens.
    """
    return _tokens(path)[0][1]


def _read(path: Path) -> dict[bytes, str]:
    """Returns the name of each token, by the token's digest; "" for a token without a name."""
    return {_digest(token): name for name, token in _tokens(path)}


def _tokens(path: Path) -> list[tuple[str, str]]:
    """Returns the name and the text of each token."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadTokenFile(
            f"{path}: the tokens cannot be read ({reason}); correct the path, or let this process read it"
        ) from None
    found = []
    for number, line in enumerate(lines, 1):
        if _is_comment(line):
            continue
        name, colon, token = line.strip().rpartition(":")
        found.append((name, token))
        if colon and NAME.fullmatch(name) is None:
            raise BadTokenFile(
                f"{path}: line {number} has no valid name before the colon: use 1 to 64 of A-Z, a-z, 0-9, ._-"
            )
        if TOKEN.fullmatch(token) is None:
            raise BadTokenFile(
                f"{path}: line {number} is no token: letters, digits and -._~+/ only; {HOW_TO_MAKE}"
            )
        if len(token) < MIN_LENGTH:
            raise BadTokenFile(
                f"{path}: line {number} has under {MIN_LENGTH} characters and can be guessed; {HOW_TO_MAKE}"
            )
    if not found:
        raise BadTokenFile(f"{path} has no token: write one on each line; {HOW_TO_MAKE}")
    if len(found) > MAX_TOKENS:
        raise BadTokenFile(f"{path} has {len(found)} tokens: at most {MAX_TOKENS}")
    for _, token in found:
        hide(token)
    return found


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
