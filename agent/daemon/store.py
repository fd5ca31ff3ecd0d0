"""Stores state across restarts in one file that is never half written.

1. A save replaces the file atomically and durably, and keeps the previous one as a backup.
2. A file that is damaged, or that its reader rejects (such as another version), is renamed to *.bad-*, and
   the backup is read instead.
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
from inarvl.private_files import write_private

log = logging.getLogger(__name__)


DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    InarvlError,
)


class StoreFailed(InarvlError):
    """The file cannot be written."""

    code = "store_failed"


class NotFinite(StoreFailed):
    """The content has a number that is not finite, with which nothing can be computed."""


class Store:
    """A JSON object on disk with a checksum."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backup = path.with_suffix(".backup")

    def save(self, content: dict[str, Any]) -> None:
        """Writes `content`; after a crash, `load` finds either the old or the new content.

        Raises:
            StoreFailed: the disk is full or failing; the old content is still stored.
            NotFinite: the content has a number that is not finite; the old content is still stored.
        """
        try:
            body = json.dumps(content, allow_nan=False)
        except ValueError:
            raise NotFinite(f"{self._path}: the content has a number that is not finite") from None
        text = json.dumps({"crc32": zlib.crc32(body.encode()), "body": body})
        new = self._path.with_suffix(".new")
        try:
            write_private(new, text.encode(), sync=True)
            if self._path.exists():
                self._path.replace(self._backup)
            new.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be written ({error.strerror}): check the disk") from error

    def load(self, accept: Callable[[dict[str, Any]], None]) -> list[Path]:
        """Passes the newest valid content to `accept`.

        Args:
            accept: uses the content; raises InarvlError to reject it.

        Returns:
            New paths of the damaged and rejected files.
        """
        renamed = []
        for path in (self._path, self._backup):
            try:
                accept(_read(path))
                break
            except FileNotFoundError:
                continue
            except DAMAGED as error:
                bad = path.with_name(f"{path.name}.bad-{time.time_ns()}")
                log.warning("%s cannot be used (%s): renamed to %s", path, error, bad.name)
                try:
                    path.replace(bad)
                except OSError:
                    continue
                renamed.append(bad)
        return renamed


def _read(path: Path) -> dict[str, Any]:
    envelope = json.loads(path.read_text())
    body = envelope["body"]
    if zlib.crc32(body.encode()) != envelope["crc32"]:
        raise ValueError("its checksum does not match")
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("its content is not a JSON object")
    return content


def _sync_folder(folder: Path) -> None:
    """Makes the renames in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
