"""The spool keeps every stored query and reply: across restarts, crashes, damage and a full disk."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agent.spool.file import Damage
from agent.spool.spool import Added, Kept, Spool, SpoolEntry, SpoolFailed, SpoolFull
from agent.spool.use import SpoolUse
from agent.spool.writer import SpoolWriter

pytestmark = pytest.mark.anyio

ENTRY = SpoolEntry("k", 1000, 31_000, "inarvl/d/result/c", b"\x00corr", b"payload", '{"a": 1}')
ADD_UNTIL_KILLED = """
import anyio, sys
from pathlib import Path
from agent.spool.spool import Spool, SpoolEntry

async def main():
    spool = await Spool.open(Path(sys.argv[1]), max_waiting=10**6)
    async def add(worker):
        for i in range(10**6):
            key = f"{worker}-{i}"
            await spool.add(SpoolEntry(key, i, i, "t", None, b"x" * 500, "{}"))
            print(key, flush=True)
    async with anyio.create_task_group() as tasks:
        for worker in range(4):
            tasks.start_soon(add, worker)

anyio.run(main)
"""


VERSION_1 = """
CREATE TABLE query (
    key TEXT PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    reply_topic TEXT NOT NULL,
    correlation BLOB,
    payload BLOB,
    attributes TEXT NOT NULL,
    reply BLOB,
    delivered INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
async def spool(path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(path, max_waiting=4)
    yield opened
    await opened.close()


def numbered(number: int) -> SpoolEntry:
    return replace(ENTRY, key=f"k{number}", received_ms=number)


async def test_an_entry_waits_unchanged_until_it_is_answered(spool: Spool) -> None:
    assert await spool.add(ENTRY) is Added.NEW
    assert await spool.waiting() == [ENTRY]
    assert await spool.undelivered() == []
    assert await spool.answer("k", b"reply") is Kept.NEW
    assert await spool.waiting() == []
    (stored,) = await spool.undelivered()
    assert (stored.key, stored.reply_topic, stored.correlation, stored.reply) == (
        "k",
        "inarvl/d/result/c",
        b"\x00corr",
        b"reply",
    )
    await spool.delivered("k")
    assert await spool.undelivered() == []


async def test_only_the_first_reply_is_stored(spool: Spool) -> None:
    await spool.add(ENTRY)
    assert await spool.answer("k", b"first") is Kept.NEW
    assert await spool.answer("k", b"second") is Kept.SECOND
    assert [stored.reply for stored in await spool.undelivered()] == [b"first"]
    await spool.delivered("k")
    assert await spool.answer("k", b"third") is Kept.SECOND
    assert await spool.answer("unknown", b"reply") is Kept.UNKNOWN


async def test_a_duplicate_is_detected_before_and_after_the_reply(spool: Spool) -> None:
    await spool.add(ENTRY)
    assert await spool.add(replace(ENTRY, payload=b"other")) is Added.DUPLICATE
    await spool.answer("k", b"reply")
    await spool.delivered("k")
    assert await spool.add(ENTRY) is Added.DUPLICATE
    assert await spool.waiting() == []


async def test_a_full_spool_raises_but_still_detects_duplicates(spool: Spool) -> None:
    for number in range(4):
        await spool.add(numbered(number))
    with pytest.raises(SpoolFull) as caught:
        await spool.add(numbered(4))
    assert caught.value.code == "busy"
    assert await spool.add(numbered(0)) is Added.DUPLICATE
    await spool.answer("k0", b"reply")
    await spool.delivered("k0")
    assert await spool.add(numbered(4)) is Added.NEW


async def test_the_oldest_come_first(spool: Spool) -> None:
    """The order is that of arrival, not of the clock, which may be set back."""
    for number in (2, 0, 3, 1):
        await spool.add(numbered(number))
    assert [entry.key for entry in await spool.waiting()] == ["k2", "k0", "k3", "k1"]
    for number in (1, 3):
        await spool.answer(f"k{number}", b"reply")
    assert [stored.key for stored in await spool.undelivered()] == ["k3", "k1"]


async def test_pruning_deletes_only_old_delivered_queries(spool: Spool) -> None:
    for number in range(3):
        await spool.add(numbered(number))
    for number in (0, 2):
        await spool.answer(f"k{number}", b"reply")
        await spool.delivered(f"k{number}")
    assert await spool.prune(before_ms=10**15, keep=10) == 0, "a clock that jumped must not delete the newest"
    assert await spool.prune(before_ms=2) == 1
    assert await spool.add(numbered(0)) is Added.NEW
    assert await spool.add(numbered(1)) is Added.DUPLICATE
    assert await spool.add(numbered(2)) is Added.DUPLICATE


async def test_queries_and_replies_survive_a_restart(path: Path) -> None:
    first = await Spool.open(path, max_waiting=4)
    for number in range(3):
        await first.add(numbered(number))
    await first.answer("k1", b"reply")
    await first.close()
    damages: list[Damage] = []
    second = await Spool.open(path, max_waiting=4, damaged=damages.append)
    assert damages == []
    assert [entry.key for entry in await second.waiting()] == ["k0", "k2"]
    assert [stored.key for stored in await second.undelivered()] == ["k1"]
    await second.close()


def add_until_killed(path: Path) -> set[str]:
    """Adds queries in a process that is killed; returns the keys that it reported as added."""
    with subprocess.Popen(
        [sys.executable, "-c", ADD_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        added = {child.stdout.readline().strip() for _ in range(100)}
        child.kill()
        return added | {line.strip() for line in child.stdout if line.endswith("\n")}


async def test_added_queries_survive_a_kill(path: Path) -> None:
    added = add_until_killed(path)
    damages: list[Damage] = []
    spool = await Spool.open(path, max_waiting=4, damaged=damages.append)
    assert damages == []
    assert added <= {entry.key for entry in await spool.waiting()}
    await spool.close()


def damage_pages(path: Path, first: int, last: int) -> None:
    """Overwrites the pages of 4096 bytes from `first` up to, not including, `last`."""
    intact = path.read_bytes()
    start, end = 4096 * first, min(4096 * last, len(intact))
    path.write_bytes(intact[:start] + b"\xaa" * (end - start) + intact[end:])


def damage(path: Path, content: bytes | None) -> None:
    intact = path.read_bytes()
    path.write_bytes(content or intact[:4096] + b"\xaa" * (len(intact) - 4096))


@pytest.mark.parametrize("content", [b"not a database" * 400, None])
async def test_a_damaged_file_is_renamed_and_replaced(path: Path, content: bytes | None) -> None:
    first = await Spool.open(path, max_waiting=100)
    for number in range(50):
        await first.add(replace(numbered(number), payload=bytes(1000)))
    await first.close()
    damage(path, content)

    damages: list[Damage] = []
    second = await Spool.open(path, max_waiting=100, damaged=damages.append)
    assert [damage.moved_to in set(path.parent.iterdir()) for damage in damages] == [True]
    assert len(await second.waiting()) == damages[0].recovered < 50
    assert await second.add(ENTRY) is Added.NEW
    await second.close()

    third = await Spool.open(path, max_waiting=100, damaged=damages.append)
    assert len(damages) == 1
    assert ENTRY in await third.waiting()
    await third.close()


async def test_readable_queries_are_recovered_from_a_damaged_file(path: Path) -> None:
    first = await Spool.open(path, max_waiting=100)
    for number in range(50):
        await first.add(replace(numbered(number), payload=bytes(1000)))
    await first.close()
    damage_pages(path, 9, 10)
    damages: list[Damage] = []
    second = await Spool.open(path, max_waiting=100, damaged=damages.append)
    recovered = await second.waiting()
    assert damages[0].recovered == len(recovered)
    assert 40 < len(recovered) <= 50
    assert all(entry.payload == bytes(1000) for entry in recovered)
    await second.close()


async def test_damage_while_running_does_not_lose_the_current_query(path: Path) -> None:
    damages: list[Damage] = []
    spool = await Spool.open(path, max_waiting=100, damaged=damages.append)
    for number in range(40):
        await spool.add(replace(numbered(number), payload=bytes(8000)))
    await spool._writer.do(lambda db: db.execute("PRAGMA user_version").fetchone())
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_pages(path, 1, 1000)
    await spool._writer.do(lambda db: db.execute("PRAGMA shrink_memory"))
    assert await spool.add(numbered(41)) is Added.NEW
    assert len(damages) == 1
    assert numbered(41) in await spool.waiting()
    await spool.close()


async def test_an_older_version_is_migrated(path: Path) -> None:
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1)
        old.execute("INSERT INTO query VALUES ('k', 1000, 31000, 't', NULL, x'00', '{}', NULL, 0)")
    old.close()
    damages: list[Damage] = []
    spool = await Spool.open(path, max_waiting=100, damaged=damages.append)
    assert [entry.key for entry in await spool.waiting()] == ["k"]
    await spool.close()


async def test_the_size_of_all_payloads_is_limited(path: Path) -> None:
    spool = await Spool.open(path, max_waiting=100, max_bytes=2500)
    for number in range(2):
        await spool.add(replace(numbered(number), payload=bytes(1000)))
    with pytest.raises(SpoolFull, match="smaller"):
        await spool.add(replace(numbered(2), payload=bytes(1000)))
    await spool.answer("k0", b"reply")
    await spool.delivered("k0")
    assert await spool.add(replace(numbered(2), payload=bytes(1000))) is Added.NEW
    await spool.close()


async def test_an_invalid_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolFailed, match=r"spool\.db"):
        await Spool.open(tmp_path / "file" / "spool.db", max_waiting=4)


async def test_a_failure_is_reported_and_the_spool_continues(path: Path) -> None:
    spool = await Spool.open(path, max_waiting=4)
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE query RENAME TO gone")
    with pytest.raises(SpoolFailed):
        await spool.add(ENTRY)
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE gone RENAME TO query")
    assert await spool.add(ENTRY) is Added.NEW
    await spool.close()


async def test_waiting_operations_share_a_commit(path: Path) -> None:
    writer = await SpoolWriter.open(path, "CREATE TABLE note (text TEXT)")
    done = 0

    async def note() -> None:
        nonlocal done
        await writer.do(lambda db: db.execute("INSERT INTO note VALUES ('x')"))
        done += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(300):
            tasks.start_soon(note)
    assert done == 300
    assert writer.commits < 150
    await writer.close()


async def test_a_failed_operation_rolls_back_only_its_own_changes(path: Path) -> None:
    writer = await SpoolWriter.open(path, "CREATE TABLE note (text TEXT)")

    def insert(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO note VALUES ('stored')")

    def fail(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO note VALUES ('rolled back')")
        raise KeyError("expected")

    async def expect_failure() -> None:
        with pytest.raises(KeyError, match="expected"):
            await writer.do(fail)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(writer.do, insert)
            tasks.start_soon(expect_failure)
    rows = await writer.do(lambda db: db.execute("SELECT text FROM note").fetchall())
    assert rows == [("stored",)] * 20
    await writer.close()


async def test_one_party_leaves_space_for_others(path: Path) -> None:
    spool = await Spool.open(path, max_waiting=100, max_bytes=10_000)
    refused = set()
    for party in ("flood", "other flood", "third flood"):
        for number in range(100):
            try:
                await spool.add(replace(ENTRY, key=f"{party}\n{number}", payload=b""))
            except SpoolFull:
                refused.add(party)
    assert refused == {"flood", "other flood", "third flood"}
    assert await spool.add(replace(ENTRY, key="polite\n1", payload=b"x" * 1000)) is Added.NEW
    await spool.close()


async def test_the_bytes_of_one_party_leave_space_for_others(path: Path) -> None:
    spool = await Spool.open(path, max_waiting=1000, max_bytes=100_000)
    refused = set()
    for party in ("flood", "other flood", "third flood"):
        for number in range(100):
            try:
                await spool.add(replace(ENTRY, key=f"{party}\n{number}", payload=b"x" * 2_000))
            except SpoolFull:
                refused.add(party)
    assert refused == {"flood", "other flood", "third flood"}
    assert await spool.add(replace(ENTRY, key="polite\n1", payload=b"x" * 2_000)) is Added.NEW
    await spool.close()


async def test_the_open_queries_are_counted_again_after_a_restart(path: Path) -> None:
    first = await Spool.open(path, max_waiting=2)
    for key in ("a\n1", "b\n1"):
        await first.add(replace(ENTRY, key=key))
    await first.close()
    second = await Spool.open(path, max_waiting=2)
    with pytest.raises(SpoolFull):
        await second.add(replace(ENTRY, key="c\n1"))
    await second.answer("a\n1", b"reply")
    await second.delivered("a\n1")
    await second.delivered("a\n1")  # a second time changes nothing
    await second.add(replace(ENTRY, key="c\n1"))
    with pytest.raises(SpoolFull):
        await second.add(replace(ENTRY, key="d\n1"))
    await second.close()


async def test_a_check_measures_what_is_open(spool: Spool) -> None:
    await spool.measured()
    assert spool.use == SpoolUse(0, 0, 0)
    for number in range(3):
        await spool.add(replace(ENTRY, key=f"k{number}"))
    size = len(ENTRY.payload)
    await spool.answer("k0", b"12345")
    await spool.answer("k1", b"12345")
    await spool.delivered("k1")
    await spool.measured()
    assert spool.use == SpoolUse(1, 1, 2 * size + 5)
