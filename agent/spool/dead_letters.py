"""Keeps the queries and replies that were set aside, for the administrator."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from anyio import to_thread

from inarvl.private_files import make_private_folder, write_private

log = logging.getLogger(__name__)

FOLDER = "set-aside"
MAX_LETTERS = 8
MAX_AGE_S = 7 * 86_400.0
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
    """A folder with the newest MAX_LETTERS, each as a JSON file beside its content, for MAX_AGE_S.

    Args:
        report: called with a code and a message for each one.
        keep_content: whether the content is stored, which may be images.
    """

    def __init__(self, folder: Path, report: Report, *, keep_content: bool = True) -> None:
        self._folder = folder
        self._report = report
        self._keep_content = keep_content

    async def set_aside(self, code: str, key: str, reason: str, content: bytes) -> None:
        """Stores and reports a letter; a failing disk only loses its content."""
        letter = DeadLetter(time.time(), key, reason)
        kept = f"its content is in {self._folder}" if self._keep_content else "its content is not kept"
        message = f"{reason}: {kept}"
        log.error("%s was set aside: %s", key, message)
        self._report(code, f"{key}: {message}")
        try:
            await to_thread.run_sync(self._write, letter, content)
        except OSError as error:
            log.error("%s cannot be written (%s): check the disk", self._folder, error.strerror)

    def remove_old(self, *, now_s: float | None = None) -> None:
        """Deletes the letters that are older than MAX_AGE_S, or not among the newest MAX_LETTERS.

        Args:
            now_s: seconds since 1970; None for now.
        """
        oldest_s = (time.time() if now_s is None else now_s) - MAX_AGE_S
        names = sorted({path.stem for path in self._folder.glob("[0-9]*.*") if path.stem.isdigit()}, key=int)
        for name in names:
            if int(name) / 1e9 < oldest_s or name in names[:-MAX_LETTERS]:
                for suffix in ("json", "content"):
                    (self._folder / f"{name}.{suffix}").unlink(missing_ok=True)

    def _write(self, letter: DeadLetter, content: bytes) -> None:
        make_private_folder(self._folder)
        name = f"{time.time_ns()}"
        if self._keep_content:
            write_private(self._folder / f"{name}.content", content)
        write_private(self._folder / f"{name}.json", json.dumps(asdict(letter)).encode())
        self.remove_old()


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
