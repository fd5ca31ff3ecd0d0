"""Queries and their replies, on disk from before the first acknowledgement until after the last.

1. A query is added before the broker is told to forget it; a second one with the same key is a duplicate.
2. A reply is written beside its query before it is published, once.
3. A delivered reply loses its bodies; its key stays for duplicates to be known until it is pruned.
4. Open queries are bounded in number and in bytes; the next one is refused as busy, and its refusal kept as
   any reply is.
One thread owns the database. What waits for it while it commits shares the next commit.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from agent.spool.file import Damage
from agent.spool.writer import SpoolWriter
from inarvl.errors import InarvlError

T = TypeVar("T")
SCHEMA = """
CREATE TABLE IF NOT EXISTS query (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    received_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    reply_topic TEXT NOT NULL,
    correlation BLOB,
    payload BLOB,
    attributes TEXT NOT NULL,
    reply BLOB,
    delivered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS open ON query (number) WHERE delivered = 0;
"""
MOST_BYTES = 256 * 2**20


class SpoolFull(InarvlError):
    """As many queries are open, or as many bytes of them, as are allowed to."""

    code = "busy"


class SpoolFailed(InarvlError):
    """The disk does not take the query."""

    code = "spool_failed"


class Added(enum.Enum):
    """What became of an added entry."""

    NEW = enum.auto()
    DUPLICATE = enum.auto()


class Kept(enum.Enum):
    """What became of a reply: kept, dropped since there was one before, or its query is not known here."""

    NEW = enum.auto()
    SECOND = enum.auto()
    UNKNOWN = enum.auto()


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

    def __init__(self, writer: SpoolWriter, max_waiting: int, max_bytes: int) -> None:
        self._writer = writer
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        max_waiting: int,
        max_bytes: int = MOST_BYTES,
        damaged: Callable[[Damage], None] | None = None,
    ) -> Spool:
        """Open or make the database; one found damaged, now or later, is moved aside and `damaged` is told.

        Args:
            max_waiting, max_bytes: most open queries, and most bytes of their payloads.

        Raises:
            SpoolFailed: it can be neither opened nor made.
        """
        try:
            writer = await SpoolWriter.open(path, SCHEMA, damaged)
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(
                f"cannot keep queries in {path} ({error}): check the folder's owner and free space"
            ) from error
        return cls(writer, max_waiting, max_bytes)

    async def add(self, entry: SpoolEntry) -> Added:
        """Keep `entry`; it stands on the disk when this returns.

        Raises:
            SpoolFull: too many queries wait for an answer.
            SpoolFailed: the disk is full or failing.
        """

        def insert(db: sqlite3.Connection) -> Added:
            if _known(db, entry.key):
                return Added.DUPLICATE
            waiting, held = db.execute(
                "SELECT count(*), total(length(payload)) FROM query WHERE delivered = 0"
            ).fetchone()
            if waiting >= self._max_waiting:
                raise SpoolFull(f"{waiting} queries wait already: ask again later, or less often")
            if held + len(entry.payload) > self._max_bytes:
                raise SpoolFull(
                    f"{held / 2**20:.0f} MiB of queries wait already: ask later, or send smaller images"
                )
            _insert(db, entry, None)
            return Added.NEW

        return await self._do(insert)

    async def refuse(self, entry: SpoolEntry, reply: bytes) -> Added:
        """Keep the refusal of a query that there was no room for, however many wait; its payload is dropped.

        Raises:
            SpoolFailed: the disk is full or failing.
        """

        def insert(db: sqlite3.Connection) -> Added:
            if _known(db, entry.key):
                return Added.DUPLICATE
            _insert(db, replace(entry, payload=b""), reply)
            return Added.NEW

        return await self._do(insert)

    async def answer(self, key: str, reply: bytes) -> Kept:
        """Keep the reply to query `key`, unless it has one."""

        def update(db: sqlite3.Connection) -> Kept:
            found = db.execute("SELECT reply IS NULL FROM query WHERE key = ?", (key,)).fetchone()
            if found is None:
                return Kept.UNKNOWN
            if not found[0]:
                return Kept.SECOND
            db.execute("UPDATE query SET reply = ? WHERE key = ?", (reply, key))
            return Kept.NEW

        return await self._do(update)

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
                "FROM query WHERE delivered = 0 AND reply IS NULL ORDER BY number"
            ).fetchall()
        )
        return [SpoolEntry(*row) for row in rows]

    async def undelivered(self) -> list[SpooledReply]:
        """Replies that the broker has not acknowledged, oldest first."""
        rows = await self._do(
            lambda db: db.execute(
                "SELECT key, reply_topic, correlation, reply FROM query "
                "WHERE delivered = 0 AND reply IS NOT NULL ORDER BY number"
            ).fetchall()
        )
        return [SpooledReply(*row) for row in rows]

    async def prune(self, before_ms: int, keep: int = 0) -> int:
        """Forget the keys of queries delivered that were received before `before_ms`; how many.

        The newest `keep` stay whatever the clock says: it may have jumped.
        """
        return await self._do(
            lambda db: (
                db.execute(
                    "DELETE FROM query WHERE delivered = 1 AND received_ms < ? "
                    "AND number <= (SELECT max(number) FROM query) - ?",
                    (before_ms, keep),
                ).rowcount
            )
        )

    async def check(self) -> None:
        """Return when the database has taken a turn, or raise SpoolFailed."""
        await self._do(lambda db: db.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        """Finish what is under way and close the database."""
        await self._writer.close()

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._writer.do(work)
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(f"the spool fails ({error}): check the disk") from error


def _known(db: sqlite3.Connection, key: str) -> bool:
    return db.execute("SELECT 1 FROM query WHERE key = ?", (key,)).fetchone() is not None


def _insert(db: sqlite3.Connection, entry: SpoolEntry, reply: bytes | None) -> None:
    row = (
        entry.key,
        entry.received_ms,
        entry.expires_ms,
        entry.reply_topic,
        entry.correlation,
        entry.payload,
        entry.attributes,
        reply,
    )
    db.execute("INSERT INTO query VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0)", row)
