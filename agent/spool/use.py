"""What of the spool is open."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class SpoolUse:
    """The queries and replies that are open.

    Attributes:
        unanswered: queries without a reply.
        undelivered: replies that the broker has not acknowledged.
        bytes: size of both.
    """

    unanswered: int
    undelivered: int
    bytes: int

    @classmethod
    def read(cls, db: sqlite3.Connection) -> SpoolUse:
        """Reads it from the spool's database."""
        row = db.execute(
            "SELECT total(reply IS NULL), total(reply IS NOT NULL), "
            "total(ifnull(length(payload), 0) + ifnull(length(reply), 0)) FROM query WHERE delivered = 0"
        ).fetchone()
        return cls(*map(int, row))
