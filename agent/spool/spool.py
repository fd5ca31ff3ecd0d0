"""Stores queries and their replies on disk until the replies are delivered.

1. A query is added before it is acknowledged to the broker; a second one with the same key is a duplicate.
2. A reply is added to its query before it is published; only the first one is stored.
3. When the reply is delivered, the body of the query is deleted, and that of the reply if it is over
   MAX_KEPT_REPLY bytes. The key and a small reply stay until they are pruned, to answer duplicates. What is
   deleted is soon gone from the disk.
4. The open queries have a maximum number and a maximum of bytes. A query beyond these is refused as busy, and
   the refusal is stored like any reply.
5. A party, such as a client, has at most PARTY_SHARE times the space that is free (dynamic thresholds,
   Choudhury and Hahne 1998), so that one alone may use most of it. The last of RESERVED parts is for parties
   that have nothing in it.
One thread uses the database. Operations that wait while it commits share the next commit.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from agent.spool.file import Damage
from agent.spool.use import SpoolUse
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
-- The open queries of each party: in memory, but part of every transaction.
CREATE TEMP TABLE waiting (party TEXT PRIMARY KEY, queries INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO waiting SELECT substr(key, 1, instr(key, char(10))), count(*), sum(ifnull(length(payload), 0))
    FROM query WHERE delivered = 0 GROUP BY 1;
CREATE TEMP TRIGGER added AFTER INSERT ON query WHEN NEW.delivered = 0 BEGIN
    INSERT INTO waiting
        VALUES (substr(NEW.key, 1, instr(NEW.key, char(10))), 1, ifnull(length(NEW.payload), 0))
        ON CONFLICT (party) DO UPDATE SET queries = queries + 1, bytes = bytes + excluded.bytes;
END;
CREATE TEMP TRIGGER delivered AFTER UPDATE OF delivered ON query WHEN NEW.delivered > OLD.delivered BEGIN
    UPDATE waiting SET queries = queries - 1, bytes = bytes - ifnull(length(OLD.payload), 0)
        WHERE party = substr(OLD.key, 1, instr(OLD.key, char(10)));
    DELETE FROM waiting WHERE queries = 0;
END;
"""
MAX_BYTES = 256 * 2**20
MAX_KEPT_REPLY = 2048
PARTY_SHARE, RESERVED = 4, 16


class SpoolFull(InarvlError):
    """The open queries have reached their maximum number or bytes."""

    code = "busy"


class SpoolFailed(InarvlError):
    """The disk cannot store or read the queries."""

    code = "spool_failed"


class Added(enum.Enum):
    """Result of adding an entry."""

    NEW = enum.auto()
    DUPLICATE = enum.auto()


class Kept(enum.Enum):
    """Result of storing a reply: stored, dropped since the query has one already, or query unknown."""

    NEW = enum.auto()
    SECOND = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True)
class SpoolEntry:
    """A received query. Times are wall clock times in ms since 1970, which stay valid across restarts.

    Attributes:
        key: its first line names the party that it belongs to.
    """

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


@dataclass(frozen=True)
class Earlier:
    """An earlier query with the same key.

    Attributes:
        reply: None if it has none yet, empty if it is not stored any more.
    """

    correlation: bytes | None
    attributes: str
    reply: bytes | None


class Spool:
    """The acknowledged queries of this device, and their replies.

    Attributes:
        use: what was open at the last `check`; None before the first.
    """

    def __init__(
        self, writer: SpoolWriter, max_waiting: int, max_bytes: int, max_kept_reply: int = MAX_KEPT_REPLY
    ) -> None:
        self.use: SpoolUse | None = None
        self._max_kept_reply = max_kept_reply
        self._writer = writer
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        max_waiting: int,
        max_bytes: int = MAX_BYTES,
        max_kept_reply: int = MAX_KEPT_REPLY,
        damaged: Callable[[Damage], None] | None = None,
    ) -> Spool:
        """Opens or creates the database.

        Args:
            max_waiting: maximum number of open queries.
            max_bytes: maximum size of their payloads together.
            max_kept_reply: maximum size of a reply that stays after its delivery; 0 for none.
            damaged: called when a damaged database was replaced, now or later.

        Raises:
            SpoolFailed: the database can be neither opened nor created.
        """
        try:
            writer = await SpoolWriter.open(path, SCHEMA, damaged)
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(
                f"cannot open the spool {path} ({error}): check the folder's owner and free space"
            ) from error
        return cls(writer, max_waiting, max_bytes, max_kept_reply)

    async def add(self, entry: SpoolEntry) -> Added:
        """Stores `entry`; returns when it is on disk.

        Raises:
            SpoolFull: too many queries wait for an answer.
            SpoolFailed: the disk is full or failing.
        """

        def insert(db: sqlite3.Connection) -> Added:
            if _known(db, entry.key):
                return Added.DUPLICATE
            party = entry.key.partition("\n")[0] + "\n"
            waiting, waiting_bytes, own, own_bytes = db.execute(
                "SELECT total(queries), total(bytes), total(queries * own), total(bytes * own) FROM "
                "(SELECT queries, bytes, party = ? AS own FROM waiting)",
                (party,),
            ).fetchone()
            if waiting >= self._max_waiting:
                raise SpoolFull(f"{waiting:.0f} queries wait already: ask again later, or less often")
            if waiting_bytes + len(entry.payload) > self._max_bytes:
                raise SpoolFull(
                    f"{waiting_bytes / 2**20:.0f} MiB of queries wait already: "
                    "ask again later, or send smaller images"
                )
            free = self._max_waiting - self._max_waiting // RESERVED - waiting
            free_bytes = self._max_bytes - self._max_bytes // RESERVED - waiting_bytes
            if own and (own >= PARTY_SHARE * free or own_bytes > PARTY_SHARE * free_bytes):
                raise SpoolFull(
                    f"{own:.0f} queries of this client wait already: ask again later, or less often"
                )
            _insert(db, entry, None)
            return Added.NEW

        return await self._do(insert)

    async def refuse(self, entry: SpoolEntry, reply: bytes) -> Added:
        """Stores the refusal of a query that exceeds the limits, without its payload.

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
        """Stores the reply to the query `key`, unless it has one already."""

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
        """Records that the broker has acknowledged the reply to `key`."""
        await self._do(
            lambda db: db.execute(
                "UPDATE query SET delivered = 1, payload = NULL, "
                "attributes = CASE WHEN json_valid(attributes) THEN json_remove(attributes, '$.user') "
                "ELSE '{}' END, reply = CASE WHEN length(reply) > ? THEN x'' ELSE reply END WHERE key = ?",
                (self._max_kept_reply, key),
            ),
            deletes=True,
        )

    async def earlier(self, key: str) -> Earlier | None:
        """Returns the query that has this key; None if there is none."""
        row = await self._do(
            lambda db: db.execute(
                "SELECT correlation, attributes, reply FROM query WHERE key = ?", (key,)
            ).fetchone()
        )
        return None if row is None else Earlier(*row)

    async def waiting(self) -> list[SpoolEntry]:
        """Returns the queries without a reply, oldest first."""
        rows = await self._do(
            lambda db: db.execute(
                "SELECT key, received_ms, expires_ms, reply_topic, correlation, payload, attributes "
                "FROM query WHERE delivered = 0 AND reply IS NULL ORDER BY number"
            ).fetchall()
        )
        return [SpoolEntry(*row) for row in rows]

    async def undelivered(self) -> list[SpooledReply]:
        """Returns the replies that the broker has not acknowledged, oldest first."""
        rows = await self._do(
            lambda db: db.execute(
                "SELECT key, reply_topic, correlation, reply FROM query "
                "WHERE delivered = 0 AND reply IS NOT NULL ORDER BY number"
            ).fetchall()
        )
        return [SpooledReply(*row) for row in rows]

    async def prune(self, before_ms: int, keep: int = 0) -> int:
        """Deletes the replies and the keys of delivered queries that were received before `before_ms`.

        Args:
            keep: how many of the newest keys are not deleted, because the clock may have jumped.

        Returns:
            How many keys were deleted.
        """

        def delete(db: sqlite3.Connection) -> int:
            old = "delivered = 1 AND received_ms < ?"
            db.execute(f"UPDATE query SET reply = x'' WHERE {old} AND length(reply) > 0", (before_ms,))
            newest = "(SELECT max(number) FROM query)"
            return db.execute(
                f"DELETE FROM query WHERE {old} AND number <= {newest} - ?", (before_ms, keep)
            ).rowcount

        return await self._do(delete, deletes=True)

    async def measured(self) -> SpoolUse:
        """Measures what is open, which shows that the database works.

        Raises:
            SpoolFailed: the database cannot be read.
        """
        self.use = await self._do(SpoolUse.read)
        return self.use

    async def close(self) -> None:
        """Finishes the pending operations and closes the database."""
        await self._writer.close()

    async def _do(self, work: Callable[[sqlite3.Connection], T], *, deletes: bool = False) -> T:
        try:
            return await (self._writer.delete(work) if deletes else self._writer.do(work))
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(f"the spool cannot be read or written ({error}): check the disk") from error


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
