"""The newest picture in a folder.

1. The newest is the file with the latest time of change. Only regular files with the name of a picture count;
   hidden ones do not.
2. A picture that is still being written is skipped until it is complete, for at most INCOMPLETE_S: it lacks
   the end of its format.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from anyio import to_thread

from agent.messages.images import read_image
from agent.messages.query import BadQuery
from agent.watching.sources.source import SourceFailed

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".avif"}
INCOMPLETE_S = 5.0
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND\xaeB`\x82"}  # of JPEG and PNG
TAIL_BYTES = 64  # some programs write padding after the end


class _Found(NamedTuple):
    changed_ns: int
    path: str
    size: int


class FolderSource:
    """Reads the newest picture of a folder.

    Args:
        roots: the folders from which images may be read.
        max_bytes: size limit of a picture.
        wall_clock: returns seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        roots: Sequence[Path],
        max_bytes: int,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._roots = tuple(roots)
        self._max_bytes = max_bytes
        self._wall_clock = wall_clock
        self._last: _Found | None = None

    async def fetch(self) -> bytes | None:
        """Returns the newest picture; None if there is no new one.

        Raises:
            SourceFailed: the folder or the picture cannot be read, or is outside the roots.
        """
        return await to_thread.run_sync(self._fetch)

    async def close(self) -> None:
        """Does nothing."""

    def _fetch(self) -> bytes | None:
        try:
            found = max(self._pictures(), default=None)
        except OSError as error:
            raise SourceFailed(
                f"the folder {self._folder} cannot be read ({error.strerror}): create it, and let the "
                "agent's user read it"
            ) from None
        if found is None or found == self._last:
            return None
        try:
            data = read_image(Path(found.path), self._roots, self._max_bytes, name="the newest picture")
        except BadQuery as error:
            raise SourceFailed(f"{found.path}: {error}") from None
        age_s = self._wall_clock() - found.changed_ns / 1e9
        if _is_incomplete(data) and abs(age_s) < INCOMPLETE_S:
            return None
        self._last = found
        return data

    def _pictures(self) -> list[_Found]:
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in SUFFIXES:
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:  # deleted in between
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_size:
                    found.append(_Found(status.st_mtime_ns, entry.path, status.st_size))
        return found


def _is_incomplete(data: bytes) -> bool:
    end = ENDS.get(data[:2])
    return end is not None and end not in data[-TAIL_BYTES:]
