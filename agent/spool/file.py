"""The spool's database file: opened, and replaced when it is damaged."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

VERSION = 2
CACHED_KIB = 256  # of pages; few but the newest are read again


@dataclass(frozen=True)
class Damage:
    """What happened to a database that could not be read.

    Attributes:
        aside: where it was moved to.
        saved: how many of its queries went into the new one.
    """

    why: str
    aside: Path
    saved: int

    def __str__(self) -> str:
        return f"the spool is damaged ({self.why}): moved to {self.aside}, {self.saved} queries saved from it"


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Open or make the database, and check it.

    Raises:
        sqlite3.DatabaseError: itself when it is damaged or of another version; OperationalError when it
            cannot be opened.
    """
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{CACHED_KIB}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"it has version {version}, this agent reads {VERSION}")
        db.executescript(schema)
        db.execute(f"PRAGMA user_version = {VERSION}")
        if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages are damaged")
    except sqlite3.Error:
        db.close()  # at once: closed later, it would remove the write-ahead log of the file that follows
        raise
    return db


def replace(path: Path, schema: str, why: str) -> tuple[sqlite3.Connection, Damage]:
    """Move a damaged database aside and begin a new one with the open queries that can be read from it.

    Raises:
        sqlite3.Error, OSError: a new one cannot be made.
    """
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    db = connect(path, schema)
    return db, Damage(why, aside, _salvage(aside, db))


def _salvage(aside: Path, db: sqlite3.Connection) -> int:
    """Copy what can be read, row by row until one cannot, from the front and then from the back."""
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(query)") if name != "number"]
    listed, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute("BEGIN")
    for order in ("", " ORDER BY rowid DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(aside)) as source:
            for row in source.execute(f"SELECT {listed} FROM query NOT INDEXED{order}"):
                with suppress(sqlite3.IntegrityError):
                    db.execute(f"INSERT INTO query ({listed}) VALUES ({marks})", row)
    db.execute("COMMIT")
    (saved,) = db.execute("SELECT count(*) FROM query WHERE delivered = 0").fetchone()
    return int(saved)
