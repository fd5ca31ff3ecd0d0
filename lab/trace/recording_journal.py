"""A journal of a recording on disk, from which an interrupted recording continues.

One file per server, one JSON line per answer. Lines are appended and never changed. An incomplete last line
is ignored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from lab.trace.trace import Run

FLUSH_EVERY = 50


class RecordingJournal:
    """The journal of one server and one set of questions; other questions or weights use another file.

    Args:
        folder: contains the journals.
        digest: of the questions.
        fingerprint: of the server's weights.
    """

    def __init__(self, folder: Path, digest: str, fingerprint: str) -> None:
        name = hashlib.sha256(f"{digest}\n{fingerprint}".encode()).hexdigest()[:16]
        self._path = folder / f"{name}.jsonl"
        self._file: IO[str] | None = None
        self._unflushed = 0
        self.runs: dict[tuple[str, str], Run | None] = {}

    @contextmanager
    def open(self) -> Iterator[RecordingJournal]:
        """Reads the existing lines, and opens the file to append."""
        complete_bytes = self._read()
        with self._path.open("r+" if self._path.exists() else "w", encoding="utf-8") as file:
            file.truncate(complete_bytes)
            file.seek(0, 2)
            self._file = file
            yield self

    def append(self, arm: str, question_id: str, run: Run | None) -> None:
        """Appends an arm's run on a question; `run` is None if the server refused the question."""
        assert self._file is not None, "append to an open journal"
        self.runs[arm, question_id] = run
        line = {"arm": arm, "question": question_id, "run": asdict(run) if run else None}
        self._file.write(json.dumps(line) + "\n")
        self._unflushed += 1
        if self._unflushed >= FLUSH_EVERY:
            self._file.flush()
            self._unflushed = 0

    def _read(self) -> int:
        """Reads all complete lines and returns their total size in bytes."""
        if not self._path.exists():
            return 0
        complete_bytes = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            self.runs[entry["arm"], entry["question"]] = Run(**entry["run"]) if entry["run"] else None
            complete_bytes += len(line)
        return complete_bytes
