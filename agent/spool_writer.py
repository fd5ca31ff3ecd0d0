"""The one thread that writes the spool's database."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
MOST_PER_COMMIT = 64


class SpoolWriter:
    """Runs functions on a database, many to a commit; each caller waits for the commit that has its own."""

    def __init__(self, path: Path, schema: str) -> None:
        self.commits = 0
        self._path = path
        self._schema = schema
        self._todo: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    @classmethod
    async def open(cls, path: Path, schema: str) -> SpoolWriter:
        """Open the database and run `schema` on it.

        Raises:
            sqlite3.DatabaseError: it is damaged, no database, or cannot be opened.
        """
        writer = cls(path, schema)
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
            db = self._open()
        except sqlite3.Error as error:
            self._tell(self._opened, error=error)
            return
        self._tell(self._opened)
        open_ = True
        while open_:
            batch = [self._todo.get()]
            while len(batch) < MOST_PER_COMMIT and not self._todo.empty():
                batch.append(self._todo.get())
            open_ = None not in batch
            self._commit(db, [item for item in batch if item is not None])
        db.close()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(self._schema)
            if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its pages are damaged")
        except sqlite3.Error:
            db.close()  # at once: closed later, it would remove the write-ahead log of the file that follows
            raise
        return db

    def _commit(self, db: sqlite3.Connection, batch: list[tuple[Work, asyncio.Future[Any]]]) -> None:
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for work, done in batch:
                db.execute("SAVEPOINT one")
                try:
                    outcomes.append((done, work(db), None))
                except Exception as error:  # told to its caller below
                    if not db.in_transaction:
                        raise
                    db.execute("ROLLBACK TO one")
                    outcomes.append((done, None, error))
                db.execute("RELEASE one")
            db.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            outcomes = [(done, None, error) for _, done in batch]
        for done, result, failure in outcomes:
            self._tell(done, result, failure)

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
