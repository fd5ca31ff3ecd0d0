"""Notices that files have changed, so that a program reads them again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SETTLED_NS = 2_000_000_000  # two changes within the resolution of a file's time leave the same time


class WatchedFiles:
    """Files that are read again after a change.

    Args:
        clock: nanoseconds since 1970, as the times of files.
    """

    def __init__(self, paths: Sequence[Path], *, clock: Callable[[], int] = time.time_ns) -> None:
        self._paths = tuple(paths)
        self._clock = clock
        self._known: tuple[object, ...] | None = None

    def changed(self) -> bool:
        """Returns whether a file may have changed since the last call; True at the first one."""
        found: list[object] = []
        settled = True
        for path in self._paths:
            try:
                status = path.stat()
            except OSError as error:
                found.append(error.errno)
                continue
            found.append(_identity(status))
            settled &= self._clock() - status.st_mtime_ns > SETTLED_NS
        same = self._known == tuple(found)
        self._known = tuple(found) if settled else None
        return not same


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
