"""The rate at which the spool stores queries, compared with plain SQLite on the same disk."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from agent.spool.spool import Spool, SpoolEntry
from agent.spool.writer import MAX_PER_COMMIT
from lab.speed.figure import Figure, Goal
from lab.speed.picture import camera_picture
from lab.speed.plan import Plan

TABLE = "CREATE TABLE query (key TEXT PRIMARY KEY, payload BLOB, attributes TEXT)"
ATTRIBUTES = '{"user": {"question": "is there a red cube?"}}'


def measure_spool(plan: Plan) -> list[Figure]:
    """Returns stored queries per second, with MAX_PER_COMMIT waiting at the same time."""
    image = camera_picture(640, 480)
    ours, raw = [], []
    for _ in range(plan.rounds):
        with TemporaryDirectory(prefix="inarvl-spool-", dir=plan.folder) as name:
            raw.append(_raw_per_s(Path(name) / "raw.db", image, plan.spooled))
            ours.append(anyio.run(_spooled_per_s, Path(name) / "spool.db", image, plan.spooled))
    goal = Goal("ratio", 0.8, at_least=True)
    return [Figure("spool writes", "/s", ours, goal, "SQLite WAL group commit", raw)]


async def _spooled_per_s(path: Path, image: bytes, count: int) -> float:
    spool = await Spool.open(path, max_waiting=10 * count, max_bytes=2**34)
    started = time.perf_counter()
    for first in range(0, count, MAX_PER_COMMIT):
        async with anyio.create_task_group() as tasks:
            for number in range(first, min(first + MAX_PER_COMMIT, count)):
                entry = SpoolEntry(f"client\n{number}", 0, 60_000, "replies", None, image, ATTRIBUTES)
                tasks.start_soon(spool.add, entry)
    elapsed_s = time.perf_counter() - started
    await spool.close()
    return count / elapsed_s


def _raw_per_s(path: Path, image: bytes, count: int) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(TABLE)
        started = time.perf_counter()
        for first in range(0, count, MAX_PER_COMMIT):
            db.execute("BEGIN IMMEDIATE")
            for number in range(first, min(first + MAX_PER_COMMIT, count)):
                db.execute("INSERT INTO query VALUES (?, ?, ?)", (f"client\n{number}", image, ATTRIBUTES))
            db.execute("COMMIT")
        return count / (time.perf_counter() - started)
