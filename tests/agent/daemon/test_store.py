"""What was learned survives a crash at any instant and damage to the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.daemon.store import Store, StoreFailed
from controller.errors import SnapshotError


def loaded(store: Store) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = []
    store.load(found.append)
    return found[0] if found else None


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    assert loaded(store) is None
    store.save({"a": [1, 2.5, "ü"]})
    store.save({"a": [2]})
    assert loaded(store) == {"a": [2]}


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b'{"crc32": 1, "body": "{}"}', b"\xff\xfe"])
def test_a_damaged_file_falls_back_to_the_backup(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    store.save({"n": 2})
    (tmp_path / "learned.json").write_bytes(damage)
    assert loaded(store) == {"n": 1}


def test_a_crash_before_the_rename_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    (tmp_path / "learned.new").write_text('{"crc32": 0')
    assert loaded(store) == {"n": 1}


def test_a_crash_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    (tmp_path / "learned.json").rename(tmp_path / "learned.backup")
    assert loaded(store) == {"n": 1}


def test_a_damaged_file_does_not_cost_the_backup(tmp_path: Path) -> None:
    """The next save keeps the file before it as the backup: it must not be the damaged one."""
    store = Store(tmp_path / "learned.json")
    for n in (1, 2):
        store.save({"n": n})
    (tmp_path / "learned.json").write_bytes(b"{")
    assert loaded(store) == {"n": 1}
    store.save({"n": 3})
    (tmp_path / "learned.json").unlink()
    assert loaded(store) == {"n": 1}


def test_what_its_reader_refuses_is_set_aside_and_the_backup_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    for version in (1, 2):
        store.save({"version": version})
    taken: list[dict[str, Any]] = []

    def take(content: dict[str, Any]) -> None:
        if content["version"] != 1:
            raise SnapshotError("of another version")
        taken.append(content)

    (aside,) = store.load(take)
    assert taken == [{"version": 1}]
    assert '"version' in aside.read_text()
    assert not (tmp_path / "learned.json").exists()


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    (tmp_path / "learned.new").mkdir()
    with pytest.raises(StoreFailed, match="check the disk"):
        store.save({"n": 2})
    assert loaded(store) == {"n": 1}
