"""What was recorded so far, on disk as it comes, so that an interrupted recording goes on where it was.

One file per server, one JSON line per answer, appended and never changed. A line that the end cut short
counts as not written.
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


class Journal:
    """Of one server about one set of questions; another set or other weights have another file."""

    def __init__(self, folder: Path, digest: str, stamp: str) -> None:
        name = hashlib.sha256(f"{digest}\n{stamp}".encode()).hexdigest()[:16]
        self._path = folder / f"{name}.jsonl"
        self._file: IO[str] | None = None
        self._unflushed = 0
        self.runs: dict[tuple[str, str], Run | None] = {}

    @contextmanager
    def open(self) -> Iterator[Journal]:
        """Read what is there, and append from then on."""
        whole = self._read()
        with self._path.open("r+" if self._path.exists() else "w", encoding="utf-8") as file:
            file.truncate(whole)
            file.seek(0, 2)
            self._file = file
            yield self

    def add(self, arm: str, question_id: str, run: Run | None) -> None:
        """Keep what `arm` did on a question, None when its server refuses to answer it."""
        assert self._file is not None, "add to an open journal"
        self.runs[arm, question_id] = run
        line = {"arm": arm, "question": question_id, "run": asdict(run) if run else None}
        self._file.write(json.dumps(line) + "\n")
        self._unflushed += 1
        if self._unflushed >= FLUSH_EVERY:
            self._file.flush()
            self._unflushed = 0

    def _read(self) -> int:
        """Take in every whole line; how many bytes they are."""
        if not self._path.exists():
            return 0
        whole = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            told = json.loads(line)
            self.runs[told["arm"], told["question"]] = Run(**told["run"]) if told["run"] else None
            whole += len(line)
        return whole
