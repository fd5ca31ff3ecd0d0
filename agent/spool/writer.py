"""The only thread that uses the spool's database.

1. Operations that wait while the thread commits share the next commit. A failed commit is tried again with
   one operation at a time, because a full disk may have room for some of them.
2. A damaged database is renamed, at the start or later. What can be read of it is copied into a new one, and
   the current operations run there.
3. What operations delete is overwritten at once in the database, and remains in its write-ahead log. That is
   emptied after a pause of WIPE_PAUSE_S, and without a pause WIPE_WITHIN_S after the deletion.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from agent.spool.file import Damage, connect, replace, wipe

log = logging.getLogger(__name__)

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], Any]
Item = tuple[Operation, "asyncio.Future[Any]"]
MAX_PER_COMMIT = 64
WIPE_PAUSE_S, WIPE_WITHIN_S = 0.25, 2.0


class SpoolWriter:
    """Runs operations on a database, several in a commit; each caller waits until its own is committed.

    Args:
        damaged: called on the event loop when a damaged database was replaced.

    Attributes:
        commits: how many commits there have been.
    """

    def __init__(self, path: Path, schema: str, damaged: Callable[[Damage], None] | None = None) -> None:
        self.commits = 0
        self._path = path
        self._schema = schema
        self._damaged = damaged
        self._pending: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._deleted_at: float | None = None
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    @classmethod
    async def open(
        cls, path: Path, schema: str, damaged: Callable[[Damage], None] | None = None
    ) -> SpoolWriter:
        """Opens the database and runs `schema` on it.

        Raises:
            sqlite3.Error, OSError: the database can be neither opened nor replaced.
        """
        writer = cls(path, schema, damaged)
        writer._thread.start()
        await writer._opened
        return writer

    async def do(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `operation` and commits; returns or raises what it does.

        If it raises, only its own changes are rolled back.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self._pending.put((operation, done))
        return await asyncio.shield(done)

    async def delete(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Runs an operation like `do`; what it deletes is soon gone from the disk."""

        def then_wipe(db: sqlite3.Connection) -> T:
            found = operation(db)
            self._deleted_at = self._deleted_at or time.monotonic()
            return found

        return await self.do(then_wipe)

    async def close(self) -> None:
        """Finishes the pending operations and closes the database."""
        self._pending.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._db: sqlite3.Connection | None = self._open()
        except (sqlite3.Error, OSError) as error:
            self._settle(self._opened, error=error)
            return
        self._settle(self._opened)
        closing = False
        while not closing:
            batch = [self._next()]
            while len(batch) < MAX_PER_COMMIT and not self._pending.empty():
                batch.append(self._pending.get())
            closing = None in batch
            self._run_batch([item for item in batch if item is not None])
        if self._db is not None:
            self._db.close()

    def _next(self) -> Item | None:
        """Waits for the next item; wipes before it, if it is time for that."""
        while self._deleted_at is not None:
            if time.monotonic() - self._deleted_at < WIPE_WITHIN_S:
                with suppress(queue.Empty):
                    return self._pending.get(timeout=WIPE_PAUSE_S)
            self._wipe()
        return self._pending.get()

    def _wipe(self) -> None:
        try:
            wiped = self._db is None or wipe(self._db)
        except sqlite3.Error as error:
            log.error("what was deleted remains in the write-ahead log (%s): check the disk", error)
            wiped = True  # with the next deletion
        self._deleted_at = None if wiped else time.monotonic()

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self._path, self._schema)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return self._replace(error)

    def _replace(self, error: BaseException) -> sqlite3.Connection:
        db, damage = replace(self._path, self._schema, str(error))
        log.error("%s", damage)
        if self._damaged is not None:
            self._loop.call_soon_threadsafe(self._damaged, damage)
        return db

    def _run_batch(self, batch: list[Item]) -> None:
        failure = self._try_batch(batch)
        if failure is not None and is_damage(failure) and self._db is not None:
            self._db.close()
            self._db = None
            try:
                self._db = self._replace(failure)
                failure = self._try_batch(batch)
            except (sqlite3.Error, OSError) as error:
                failure = error
        if failure is None:
            return
        for item in batch:
            item_failure = failure if len(batch) == 1 else self._try_batch([item])
            if item_failure is not None:
                self._settle(item[1], error=item_failure)

    def _try_batch(self, batch: list[Item]) -> BaseException | None:
        try:
            if self._db is None:  # replacing it has failed before
                self._db = self._open()
            return self._commit(self._db, batch)
        except (sqlite3.Error, OSError) as error:
            return error

    def _commit(self, db: sqlite3.Connection, batch: list[Item]) -> BaseException | None:
        """Commits all operations and settles their futures, or does neither and returns the error."""
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for operation, done in batch:
                db.execute("SAVEPOINT one")
                try:
                    outcomes.append((done, operation(db), None))
                except Exception as error:  # raised in its caller below
                    if not db.in_transaction or is_damage(error):
                        raise
                    db.execute("ROLLBACK TO one")
                    outcomes.append((done, None, error))
                db.execute("RELEASE one")
            db.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            return error
        for done, result, failure in outcomes:
            self._settle(done, result, failure)
        return None

    def _settle(
        self, done: asyncio.Future[Any], result: object = None, error: BaseException | None = None
    ) -> None:
        def set_outcome() -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(set_outcome)


def is_damage(error: BaseException) -> bool:
    """Returns whether the error is "malformed" or "not a database".

    SQLite's other errors are raised as subclasses of DatabaseError, these two as the class itself.
    """
    return type(error) is sqlite3.DatabaseError
