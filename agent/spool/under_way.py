"""Finds the query at which the agent crashes, also if it is killed.

1. Before the work on a query, its name is written into a slot of a file; after it, the slot is cleared. The
   kernel keeps what was written if the process is killed. A power failure may lose it, but no query causes
   that, so the file is never synced, and a query costs two small writes.
2. The slots that were in use when the process ended are suspects, until work on them ends. The caller works
   on one suspect at a time.
3. A suspect that is in work when the process ends again is convicted: two crashes in a row.
4. A slot remains in use if the work raises, because an unexpected error ends the process too.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from inarvl.private_files import open_private

log = logging.getLogger(__name__)

SLOTS = 1024
NAME_BYTES = 15
SLOT_BYTES = NAME_BYTES + 1
FREE, IN_WORK, SUSPECT, SUSPECT_IN_WORK = range(4)
Verdict = Literal["unknown", "suspect", "convicted"]


class UnderWay:
    """The names of what is in work, in a file."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file; without it, nothing is ever suspected."""
        self._suspects: dict[bytes, int] = {}
        self._convicted: dict[bytes, int] = {}
        self._free = [*range(SLOTS)]
        self._file: int | None = None
        try:
            self._file = open_private(path, os.O_RDWR)
            os.posix_fallocate(self._file, 0, SLOTS * SLOT_BYTES)  # later writes need no space
            self._read(os.pread(self._file, SLOTS * SLOT_BYTES, 0))
        except OSError as error:
            log.warning("%s cannot be used (%s): no query is suspected of a crash", path, error.strerror)

    def verdict(self, name: str) -> Verdict:
        """Returns what is known of `name` from earlier runs."""
        digest = _digest(name)
        return (
            "convicted" if digest in self._convicted else "suspect" if digest in self._suspects else "unknown"
        )

    @contextmanager
    def work_on(self, name: str) -> Iterator[None]:
        """Marks `name` as in work within the block."""
        digest = _digest(name)
        slot = self._suspects.get(digest)
        state = IN_WORK if slot is None else SUSPECT_IN_WORK
        if slot is None:
            slot = self._free.pop() if self._free else None
        self._write(slot, state, digest)
        try:
            yield
        except Exception:
            raise  # the slot stays in use
        except BaseException:  # cancelled: the agent stops
            self._release(slot, digest)
            raise
        else:
            self._release(slot, digest)

    def forget(self, name: str) -> None:
        """Ends the suspicion or conviction of `name`, which is answered."""
        digest = _digest(name)
        slot = self._suspects.get(digest, self._convicted.get(digest))
        if slot is not None:
            self._release(slot, digest)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self, content: bytes) -> None:
        used = []
        for slot in range(SLOTS):
            digest, state = _unpacked(content[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES])
            if state in (IN_WORK, SUSPECT):
                self._suspects[digest] = slot
                self._write(slot, SUSPECT, digest)
            elif state == SUSPECT_IN_WORK:
                self._convicted[digest] = slot
            else:
                continue
            used.append(slot)
        if len(used) > SLOTS // 2:  # the names of earlier crashes that never came again
            for digest in [*self._suspects]:
                self._release(self._suspects[digest], digest)
            used = list(self._convicted.values())
        self._free = [slot for slot in range(SLOTS) if slot not in used]

    def _release(self, slot: int | None, digest: bytes) -> None:
        self._write(slot, FREE, bytes(NAME_BYTES))
        self._suspects.pop(digest, None)
        self._convicted.pop(digest, None)
        if slot is not None:
            self._free.append(slot)

    def _write(self, slot: int | None, state: int, digest: bytes) -> None:
        if slot is None or self._file is None:
            return
        try:
            os.pwrite(self._file, digest + bytes((state,)), slot * SLOT_BYTES)
        except OSError as error:
            log.error("a query in work cannot be recorded (%s): check the disk", error.strerror)


def _digest(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=NAME_BYTES).digest()


def _unpacked(record: bytes) -> tuple[bytes, int]:
    return (record[:NAME_BYTES], record[NAME_BYTES]) if len(record) == SLOT_BYTES else (b"", FREE)
