"""What was deleted from the spool is gone from its files, also after a crash and while it is busy."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from agent.spool.spool import Spool, SpoolEntry

pytestmark = pytest.mark.anyio
MARKER = os.urandom(24)
ATTRIBUTES = json.dumps({"query_id": "a", "user": {"question": "is it SECRET?"}, "content": "c", "packet": 7})
REPLY = b'{"answer": "SECRET"}'


def entry(key: str, received_ms: int = 1000) -> SpoolEntry:
    return SpoolEntry(key, received_ms, 31_000, "t", None, MARKER * 5000, ATTRIBUTES)


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def gone(folder: Path, *parts: bytes) -> None:
    with anyio.fail_after(20):
        while any(part in stored(folder) for part in parts):  # noqa: ASYNC110
            await anyio.sleep(0.05)


async def answered(spool: Spool, key: str) -> None:
    await spool.add(entry(key))
    await spool.answer(key, REPLY)
    await spool.delivered(key)


async def test_an_image_and_its_question_are_gone_after_the_delivery(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9)
    await spool.add(entry("k"))
    assert MARKER in stored(tmp_path)
    await spool.answer("k", b"{}")
    await spool.delivered("k")
    await gone(tmp_path, MARKER, b"SECRET")
    earlier = await spool.earlier("k")
    assert earlier is not None
    assert json.loads(earlier.attributes) == {"query_id": "a", "content": "c", "packet": 7}
    await spool.close()


async def test_images_are_gone_while_others_come_without_a_pause(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9)
    await answered(spool, "k")
    busy = True

    async def others() -> None:
        number = 0
        while busy:
            number += 1
            other = SpoolEntry(f"o{number}", 0, 0, "t", None, b"x" * 100, "{}")
            await spool.add(other)
            await spool.answer(other.key, b"{}")
            await spool.delivered(other.key)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        await gone(tmp_path, MARKER)
        busy = False
    await spool.close()


async def test_images_that_a_crash_left_in_the_log_are_gone_after_the_start(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9)
    await answered(spool, "k")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        (crashed / name).write_bytes((tmp_path / name).read_bytes())
    await spool.close()
    assert MARKER in stored(crashed)
    spool = await Spool.open(crashed / "spool.db", max_waiting=9)
    assert MARKER not in stored(crashed)
    await spool.close()


async def test_images_that_an_older_version_left_are_gone_after_the_start(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9)
    await spool.close()
    with closing(sqlite3.connect(tmp_path / "spool.db", isolation_level=None)) as older:
        older.execute("PRAGMA application_id = 0")
        older.execute("PRAGMA secure_delete = OFF")
        older.execute("CREATE TABLE image (content BLOB)")
        older.execute("INSERT INTO image VALUES (?)", (MARKER * 5000,))
        older.execute("DELETE FROM image")
        older.execute("DROP TABLE image")
    assert MARKER in stored(tmp_path)
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9)
    assert MARKER not in stored(tmp_path)
    await spool.close()


async def test_a_reader_of_the_database_does_not_stop_the_spool(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9)
    await answered(spool, "first")
    with closing(sqlite3.connect(tmp_path / "spool.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM query").fetchall()
        await answered(spool, "k")
        await anyio.sleep(1)  # in which it cannot wipe
        await spool.measured()
        reader.execute("COMMIT")
    await gone(tmp_path, MARKER)
    await spool.close()


@pytest.mark.parametrize("max_kept_reply", [0, 2048])
async def test_the_text_of_a_reply_stays_only_where_it_may_and_not_for_ever(
    max_kept_reply: int, tmp_path: Path
) -> None:
    spool = await Spool.open(tmp_path / "spool.db", max_waiting=9, max_kept_reply=max_kept_reply)
    await answered(spool, "k")
    earlier = await spool.earlier("k")
    assert earlier is not None
    assert earlier.reply == (REPLY if max_kept_reply else b"")
    await spool.prune(before_ms=2000, keep=100)  # the key stays, to refuse a repeated query
    await gone(tmp_path, b"SECRET")
    assert await spool.earlier("k") is not None
    await spool.close()
