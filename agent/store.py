"""What was learned, kept over restarts in one file that is never half written."""

from __future__ import annotations

import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Store:
    """A JSON object on disk with a checksum, replaced atomically, with the one before kept as a backup."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backup = path.with_suffix(".backup")

    def save(self, content: dict[str, Any]) -> None:
        """Write `content`; a crash at any instant leaves either it or what was there before."""
        body = json.dumps(content)
        text = json.dumps({"crc32": zlib.crc32(body.encode()), "body": body})
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if self._path.exists():
            self._path.replace(self._backup)
        fresh.replace(self._path)

    def load(self) -> dict[str, Any] | None:
        """The newest whole content, from the backup when the file is damaged; None when there is none."""
        for path in (self._path, self._backup):
            try:
                envelope = json.loads(path.read_text())
                body = envelope["body"]
                if zlib.crc32(body.encode()) != envelope["crc32"]:
                    raise ValueError("its checksum does not match")
                content = json.loads(body)
                if isinstance(content, dict):
                    return content
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("%s is damaged (%s): trying its backup", path, error)
        return None
