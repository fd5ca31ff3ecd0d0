"""Stored content survives a crash at any time, and a damaged file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.daemon.store import NotFinite, Store, StoreFailed
from controller.errors import SnapshotError


def loaded(store: Store) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = []
    store.load(found.append)
    return found[0] if found else None


def test_the_last_save_is_loaded(tmp_path: Path) -> None:
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


def test_a_damaged_file_does_not_replace_the_backup(tmp_path: Path) -> None:
    """A save makes the previous file the backup; that must not be the damaged one."""
    store = Store(tmp_path / "learned.json")
    for n in (1, 2):
        store.save({"n": n})
    (tmp_path / "learned.json").write_bytes(b"{")
    assert loaded(store) == {"n": 1}
    store.save({"n": 3})
    (tmp_path / "learned.json").unlink()
    assert loaded(store) == {"n": 1}


def test_a_file_that_its_reader_rejects_is_renamed_and_the_backup_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    for version in (1, 2):
        store.save({"version": version})
    accepted: list[dict[str, Any]] = []

    def accept(content: dict[str, Any]) -> None:
        if content["version"] != 1:
            raise SnapshotError("another version")
        accepted.append(content)

    (renamed,) = store.load(accept)
    assert accepted == [{"version": 1}]
    assert '"version' in renamed.read_text()
    assert not (tmp_path / "learned.json").exists()


def test_a_failed_save_is_reported_and_keeps_the_old_content(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    (tmp_path / "learned.new").mkdir()
    with pytest.raises(StoreFailed, match="check the disk"):
        store.save({"n": 2})
    assert loaded(store) == {"n": 1}


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a": ' * 100_000, "9" * 5000])
def test_a_file_that_cannot_be_parsed_falls_back_to_the_backup(tmp_path: Path, body: str) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    store.save({"n": 2})
    (tmp_path / "learned.json").write_text(body)
    assert loaded(store) == {"n": 1}


def test_a_number_that_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    with pytest.raises(NotFinite):
        store.save({"n": float("nan")})
    assert loaded(store) == {"n": 1}
