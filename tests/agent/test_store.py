"""What was learned survives a crash at any instant and damage to the file."""

from pathlib import Path

import pytest

from agent.store import Store


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    assert store.load() is None
    store.save({"a": [1, 2.5, "ü"]})
    store.save({"a": [2]})
    assert store.load() == {"a": [2]}


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b'{"crc32": 1, "body": "{}"}', b"\xff\xfe"])
def test_a_damaged_file_falls_back_to_the_backup(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    store.save({"n": 2})
    (tmp_path / "learned.json").write_bytes(damage)
    assert store.load() == {"n": 1}


def test_a_crash_before_the_rename_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    (tmp_path / "learned.new").write_text('{"crc32": 0')
    assert store.load() == {"n": 1}


def test_a_crash_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "learned.json")
    store.save({"n": 1})
    (tmp_path / "learned.json").rename(tmp_path / "learned.backup")
    assert store.load() == {"n": 1}
