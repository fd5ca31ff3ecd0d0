"""What must outlive a restart, kept in one file that is never half written.

1. A save replaces the file atomically, on the disk and not only in its cache, and keeps the one before.
2. A file that is damaged, or that its reader will not take (of another version, say), is set aside under a
   name that tells so, and the backup is read instead.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class StoreFailed(InarvlError):
    """The disk does not take what should be kept."""

    code = "store_failed"


class Store:
    """A JSON object on disk with a checksum."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backup = path.with_suffix(".backup")

    def save(self, content: dict[str, Any]) -> None:
        """Write `content`; a crash at any instant leaves either it or what was there before.

        Raises:
            StoreFailed: the disk is full or failing; what was there before still is.
        """
        body = json.dumps(content)
        text = json.dumps({"crc32": zlib.crc32(body.encode()), "body": body})
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if self._path.exists():
                self._path.replace(self._backup)
            fresh.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be written ({error.strerror}): check the disk") from error

    def load(self, take: Callable[[dict[str, Any]], None]) -> list[Path]:
        """Give `take` the newest content that is whole and that it accepts; InarvlError from it refuses one.

        Returns where files that were no good were set aside.
        """
        aside = []
        for path in (self._path, self._backup):
            try:
                take(_read(path))
                break
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, AttributeError, InarvlError) as error:
                bad = path.with_name(f"{path.name}.bad-{time.time_ns()}")
                log.warning("%s cannot be used (%s): set aside as %s", path, error, bad.name)
                try:
                    path.replace(bad)
                except OSError:
                    continue
                aside.append(bad)
        return aside


def _read(path: Path) -> dict[str, Any]:
    envelope = json.loads(path.read_text())
    body = envelope["body"]
    if zlib.crc32(body.encode()) != envelope["crc32"]:
        raise ValueError("its checksum does not match")
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    return content


def _sync_folder(folder: Path) -> None:
    """Have the renames on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
