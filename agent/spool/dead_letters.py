"""Keeps the queries and replies that were set aside, for the administrator."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from anyio import to_thread

log = logging.getLogger(__name__)

FOLDER = "set-aside"
MAX_LETTERS = 8
Report = Callable[[str, str], None]


@dataclass(frozen=True)
class DeadLetter:
    """A query or reply that was set aside.

    Attributes:
        at: seconds since 1970.
        key: its key in the spool.
        reason: why it was set aside.
    """

    at: float
    key: str
    reason: str


class DeadLetters:
    """A folder with the newest MAX_LETTERS, each as a JSON file beside its content.

    Args:
        report: called with a code and a message for each one.
    """

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report

    async def set_aside(self, code: str, key: str, reason: str, content: bytes) -> None:
        """Stores and reports a letter; a failing disk only loses its content."""
        letter = DeadLetter(time.time(), key, reason)
        message = f"{reason}: its content is in {self._folder}"
        log.error("%s was set aside: %s", key, message)
        self._report(code, f"{key}: {message}")
        try:
            await to_thread.run_sync(self._write, letter, content)
        except OSError as error:
            log.error("%s cannot be written (%s): check the disk", self._folder, error.strerror)

    def _write(self, letter: DeadLetter, content: bytes) -> None:
        self._folder.mkdir(exist_ok=True)
        name = f"{time.time_ns()}"
        (self._folder / f"{name}.content").write_bytes(content)
        (self._folder / f"{name}.json").write_text(json.dumps(asdict(letter)))
        for old in sorted(self._folder.glob("*.json"))[:-MAX_LETTERS]:
            old.unlink()
            old.with_suffix(".content").unlink(missing_ok=True)


def read_dead_letters(folder: Path) -> list[DeadLetter]:
    """Returns the letters in a folder, oldest first; unreadable ones are omitted.

    Raises:
        PermissionError: the folder cannot be read.
    """
    letters = []
    for path in sorted(folder.glob("*.json")):
        try:
            letters.append(DeadLetter(**json.loads(path.read_text())))
        except PermissionError:
            raise
        except (OSError, ValueError, TypeError):
            continue
    return letters
