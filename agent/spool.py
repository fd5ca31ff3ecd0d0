"""Queries and their replies, on disk from before the first acknowledgement until after the last.

1. A query is added before the broker is told to forget it; a second one with the same key is a duplicate.
2. A reply is written beside its query before it is published, once.
3. A delivered reply loses its bodies; its key stays for duplicates to be known until it is pruned.
One thread owns the database. What waits for it while it commits shares the next commit.
"""

from __future__ import annotations

import enum
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

from agent.spool_writer import SpoolWriter
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

T = TypeVar("T")
SCHEMA = """
CREATE TABLE IF NOT EXISTS query (
    key TEXT PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    reply_topic TEXT NOT NULL,
    correlation BLOB,
    payload BLOB,
    attributes TEXT NOT NULL,
    reply BLOB,
    delivered INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open ON query (received_ms) WHERE delivered = 0;
PRAGMA user_version = 1;
"""


class SpoolFull(InarvlError):
    """As many queries wait as are allowed to."""

    code = "busy"


class SpoolFailed(InarvlError):
    """The disk does not take the query."""

    code = "spool_failed"


class Added(enum.Enum):
    """What became of an added entry."""

    NEW = enum.auto()
    DUPLICATE = enum.auto()


@dataclass(frozen=True)
class SpoolEntry:
    """A query as it came. Times are wall clock, in ms since 1970, since they outlive the process."""

    key: str
    received_ms: int
    expires_ms: int
    reply_topic: str
    correlation: bytes | None
    payload: bytes
    attributes: str


@dataclass(frozen=True)
class SpooledReply:
    """A reply that the broker has not acknowledged."""

    key: str
    reply_topic: str
    correlation: bytes | None
    reply: bytes


class Spool:
    """The queries that this device has promised to answer."""

    def __init__(self, writer: SpoolWriter, max_waiting: int, damaged: Path | None) -> None:
        self.damaged = damaged
        self._writer = writer
        self._max_waiting = max_waiting

    @classmethod
    async def open(cls, path: Path, *, max_waiting: int) -> Spool:
        """Open or make the database; one that is damaged is moved aside, and `damaged` says where to.

        Raises:
            SpoolFailed: it can be neither opened nor made.
        """
        damaged = None
        try:
            try:
                writer = await SpoolWriter.open(path, SCHEMA)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                damaged = await to_thread.run_sync(_set_aside, path)
                log.error("the spool %s is damaged (%s): moved to %s, starting anew", path, error, damaged)
                writer = await SpoolWriter.open(path, SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(
                f"cannot keep queries in {path} ({error}): check the folder's owner and free space"
            ) from error
        return cls(writer, max_waiting, damaged)

    async def add(self, entry: SpoolEntry) -> Added:
        """Keep `entry`; it stands on the disk when this returns.

        Raises:
            SpoolFull: too many queries wait for an answer.
            SpoolFailed: the disk is full or failing.
        """

        def insert(db: sqlite3.Connection) -> Added:
            if db.execute("SELECT 1 FROM query WHERE key = ?", (entry.key,)).fetchone():
                return Added.DUPLICATE
            (waiting,) = db.execute("SELECT count(*) FROM query WHERE delivered = 0").fetchone()
            if waiting >= self._max_waiting:
                raise SpoolFull(f"{waiting} queries wait already: ask again later, or less often")
            db.execute(
                "INSERT INTO query VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 0)",
                (
                    entry.key,
                    entry.received_ms,
                    entry.expires_ms,
                    entry.reply_topic,
                    entry.correlation,
                    entry.payload,
                    entry.attributes,
                ),
            )
            return Added.NEW

        return await self._do(insert)

    async def answer(self, key: str, reply: bytes) -> bool:
        """Keep the reply to query `key`; False when it has one, or is not known."""
        return await self._do(
            lambda db: (
                db.execute(
                    "UPDATE query SET reply = ? WHERE key = ? AND reply IS NULL", (reply, key)
                ).rowcount
                > 0
            )
        )

    async def delivered(self, key: str) -> None:
        """The reply to `key` has been taken over by the broker."""
        await self._do(
            lambda db: db.execute(
                "UPDATE query SET delivered = 1, payload = NULL, reply = x'' WHERE key = ?", (key,)
            )
        )

    async def waiting(self) -> list[SpoolEntry]:
        """Queries without a reply, oldest first."""
        rows = await self._do(
            lambda db: db.execute(
                "SELECT key, received_ms, expires_ms, reply_topic, correlation, payload, attributes "
                "FROM query WHERE delivered = 0 AND reply IS NULL ORDER BY received_ms"
            ).fetchall()
        )
        return [SpoolEntry(*row) for row in rows]

    async def undelivered(self) -> list[SpooledReply]:
        """Replies that the broker has not acknowledged, oldest first."""
        rows = await self._do(
            lambda db: db.execute(
                "SELECT key, reply_topic, correlation, reply FROM query "
                "WHERE delivered = 0 AND reply IS NOT NULL ORDER BY received_ms"
            ).fetchall()
        )
        return [SpooledReply(*row) for row in rows]

    async def prune(self, before_ms: int) -> int:
        """Forget the keys of queries delivered that were received before `before_ms`; how many."""
        return await self._do(
            lambda db: (
                db.execute("DELETE FROM query WHERE delivered = 1 AND received_ms < ?", (before_ms,)).rowcount
            )
        )

    async def close(self) -> None:
        """Finish what is under way and close the database."""
        await self._writer.close()

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._writer.do(work)
        except sqlite3.Error as error:
            raise SpoolFailed(f"the spool fails ({error}): check the disk") from error


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.replace(aside)
    for leftover in (f"{path}-wal", f"{path}-shm"):
        Path(leftover).unlink(missing_ok=True)
    return aside
