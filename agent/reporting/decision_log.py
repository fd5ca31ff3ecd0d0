"""Keeps the newest decision records on disk, without any text of a question or an answer.

1. A record is one line of JSON in `decisions.jsonl`. Before the file has more than MAX_BYTES it is renamed to
   `decisions.1.jsonl`, which replaces the one before: the two have at most 2 * MAX_BYTES.
2. A disk that is full or failing loses records and nothing else; it is logged once.
3. A line that cannot be read, such as one that a power cut has cut off, is skipped.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from inarvl.errors import InarvlError
from inarvl.private_files import open_private
from inarvl.redaction import redacted_json

log = logging.getLogger(__name__)

NAME: Final = "decisions.jsonl"
OLDER: Final = "decisions.1.jsonl"
MAX_BYTES: Final = 8 * 2**20


class DecisionsUnreadable(InarvlError):
    """The decision log cannot be read."""

    code = "decisions_unreadable"


class DecisionLog:
    """The decision log of a running agent.

    Args:
        folder: of the agent's state.
        keep: whether records are kept; if not, those of earlier runs are deleted too.
    """

    def __init__(self, folder: Path, *, keep: bool = True, max_bytes: int = MAX_BYTES) -> None:
        self._path, self._older = folder / NAME, folder / OLDER
        self._keep = keep
        self._max_bytes = max_bytes
        self._failed = False
        if not keep:
            for path in (self._path, self._older):
                self._remove(path)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s cannot be deleted (%s): delete it", path, error.strerror)

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a record."""
        if not self._keep:
            return
        line = json.dumps(redacted_json(dict(record)), separators=(",", ":")).encode() + b"\n"
        try:
            if self._path.exists() and self._path.stat().st_size + len(line) > self._max_bytes:
                self._path.replace(self._older)
            with os.fdopen(open_private(self._path, os.O_WRONLY | os.O_APPEND), "ab") as file:
                file.write(line)
        except OSError as error:
            if not self._failed:
                log.error("%s cannot be written (%s): check the disk", self._path, error.strerror)
            self._failed = True


def read_decisions(folder: Path) -> list[dict[str, Any]]:
    """Returns the records in the folder of an agent's state, oldest first.

    Raises:
        DecisionsUnreadable: there is none, or a file cannot be read.
    """
    paths = [folder / name for name in (OLDER, NAME) if _exists(folder / name)]
    if not paths:
        raise DecisionsUnreadable(
            f"{folder} has no decision log: has the agent answered yet, and is privacy.keep_decisions true?"
        )
    return [record for path in paths for record in read_records(path)]


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the records of a file.

    Raises:
        DecisionsUnreadable: it cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise _unreadable(path, error) from None
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DecisionsUnreadable:
    return DecisionsUnreadable(
        f"{path} cannot be read ({error.strerror}): run as root or as the agent's user, or name another file"
    )
