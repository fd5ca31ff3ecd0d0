"""The one thread that writes the spool's database.

1. Whatever waits while it commits shares the next commit; a commit that fails is tried again item by item,
   since a full disk that has no room for one may have some for another.
2. A database found damaged, at the start or later, is moved aside; what can still be read of it moves into a
   new one, and the work at hand is done there.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from agent.spool.file import Damage, connect, replace

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Item = tuple[Work, "asyncio.Future[Any]"]
MOST_PER_COMMIT = 64


class SpoolWriter:
    """Runs functions on a database, many to a commit; each caller waits for the commit that has its own.

    Args:
        damaged: called on the event loop when the database had to be replaced.
    """

    def __init__(self, path: Path, schema: str, damaged: Callable[[Damage], None] | None = None) -> None:
        self.commits = 0
        self._path = path
        self._schema = schema
        self._damaged = damaged
        self._todo: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    @classmethod
    async def open(
        cls, path: Path, schema: str, damaged: Callable[[Damage], None] | None = None
    ) -> SpoolWriter:
        """Open the database and run `schema` on it.

        Raises:
            sqlite3.Error, OSError: it can be neither opened nor replaced.
        """
        writer = cls(path, schema, damaged)
        writer._thread.start()
        await writer._opened
        return writer

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns or raises, once it is committed. A failing one undoes its own changes only."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._todo.put((work, done))
        return await asyncio.shield(done)

    async def close(self) -> None:
        """Run what was handed over before, then close the database."""
        self._todo.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._db: sqlite3.Connection | None = self._open()
        except (sqlite3.Error, OSError) as error:
            self._tell(self._opened, error=error)
            return
        self._tell(self._opened)
        open_ = True
        while open_:
            batch = [self._todo.get()]
            while len(batch) < MOST_PER_COMMIT and not self._todo.empty():
                batch.append(self._todo.get())
            open_ = None not in batch
            self._do_all([item for item in batch if item is not None])
        if self._db is not None:
            self._db.close()

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

    def _do_all(self, batch: list[Item]) -> None:
        failure = self._try_all(batch)
        if failure is not None and is_damage(failure) and self._db is not None:
            self._db.close()
            self._db = None
            try:
                self._db = self._replace(failure)
                failure = self._try_all(batch)
            except (sqlite3.Error, OSError) as error:
                failure = error
        if failure is None:
            return
        for item in batch:
            alone = failure if len(batch) == 1 else self._try_all([item])
            if alone is not None:
                self._tell(item[1], error=alone)

    def _try_all(self, batch: list[Item]) -> BaseException | None:
        try:
            if self._db is None:  # it could not be replaced before
                self._db = self._open()
            return self._commit(self._db, batch)
        except (sqlite3.Error, OSError) as error:
            return error

    def _commit(self, db: sqlite3.Connection, batch: list[Item]) -> BaseException | None:
        """Do all of it and tell its callers, or nothing; then give the reason."""
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for work, done in batch:
                db.execute("SAVEPOINT one")
                try:
                    outcomes.append((done, work(db), None))
                except Exception as error:  # told to its caller below
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
            self._tell(done, result, failure)
        return None

    def _tell(
        self, done: asyncio.Future[Any], result: object = None, error: BaseException | None = None
    ) -> None:
        def settle() -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)


def is_damage(error: BaseException) -> bool:
    """Whether it says "malformed" or "not a database": these two, and no other, come as the bare class."""
    return type(error) is sqlite3.DatabaseError
