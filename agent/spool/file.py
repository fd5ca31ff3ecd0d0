"""Opens the spool's database file, wipes what was deleted from it, and replaces a damaged one."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from inarvl.private_files import make_private, open_private

VERSION = 2
WIPES = 0x696E6172  # application_id of a database that has never kept what was deleted
BUSY_TIMEOUT_MS = 5000
CACHE_KIB = 256  # of pages; hardly any but the newest are read again


@dataclass(frozen=True)
class Damage:
    """A damaged database, and what was recovered from it.

    Attributes:
        reason: the error message of SQLite.
        moved_to: path of the damaged file.
        recovered: how many of its open queries are in the new database.
    """

    reason: str
    moved_to: Path
    recovered: int

    def __str__(self) -> str:
        where = f"moved to {self.moved_to}" if self.moved_to.exists() else "deleted"
        return f"the spool is damaged ({self.reason}): {where}, {self.recovered} queries recovered from it"

    def remove(self) -> None:
        """Deletes the damaged file."""
        for suffix in ("-wal", "-shm", ""):
            Path(f"{self.moved_to}{suffix}").unlink(missing_ok=True)


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Opens or creates the database, and checks it.

    Raises:
        sqlite3.DatabaseError: exactly this class if the database is damaged or has another version; its
            subclass OperationalError if it cannot be opened.
    """
    os.close(open_private(path, os.O_RDWR))
    for suffix in ("-wal", "-shm"):  # new ones get the mode of the database
        make_private(Path(f"{path}{suffix}"))
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"its version is {version}, this agent reads {VERSION}")
        db.executescript(schema)
        db.execute(f"PRAGMA user_version = {VERSION}")
        if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages are damaged")
        if db.execute("PRAGMA application_id").fetchone() != (WIPES,):
            with suppress(sqlite3.OperationalError):  # the disk is full: later
                db.execute("VACUUM")
                db.execute(f"PRAGMA application_id = {WIPES}")
        with suppress(sqlite3.OperationalError):
            wipe(db)
    except sqlite3.Error:
        db.close()  # now: a later close would delete the write-ahead log of the new file
        raise
    return db


def wipe(db: sqlite3.Connection) -> bool:
    """Empties the write-ahead log, in which pages remain as they were before their content was deleted.

    Returns:
        Whether it is empty; not if another process reads the database.

    Raises:
        sqlite3.Error: the disk is full or failing.
    """
    db.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return not busy


def replace(path: Path, schema: str, reason: str) -> tuple[sqlite3.Connection, Damage]:
    """Renames a damaged database and creates a new one with the queries that can be read from it.

    Raises:
        sqlite3.Error, OSError: the new one cannot be created.
    """
    moved_to = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{moved_to}{suffix}")
    db = connect(path, schema)
    return db, Damage(reason, moved_to, _recover(moved_to, db))


def _recover(damaged: Path, db: sqlite3.Connection) -> int:
    """Copies rows up to the first unreadable one, from the front and then from the back."""
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(query)") if name != "number"]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute("BEGIN")
    for order in ("", " ORDER BY rowid DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(damaged)) as source:
            for row in source.execute(f"SELECT {names} FROM query NOT INDEXED{order}"):
                with suppress(sqlite3.IntegrityError):
                    db.execute(f"INSERT INTO query ({names}) VALUES ({marks})", row)
    db.execute("COMMIT")
    (recovered,) = db.execute("SELECT count(*) FROM query WHERE delivered = 0").fetchone()
    return int(recovered)
