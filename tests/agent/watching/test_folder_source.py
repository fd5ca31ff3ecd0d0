"""The newest picture of a real folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.watching.sources.folder_source import FolderSource
from agent.watching.sources.source import SourceFailed

pytestmark = pytest.mark.anyio
NOW = 1_000_000.0
JPEG = b"\xff\xd8 %d \xff\xd9"


def write(folder: Path, name: str, data: bytes, at: float = NOW - 100) -> Path:
    file = folder / name
    file.write_bytes(data)
    os.utime(file, (at, at))
    return file


def source(folder: Path, root: Path | None = None, max_bytes: int = 100) -> FolderSource:
    return FolderSource(folder, [root or folder], max_bytes, wall_clock=lambda: NOW)


async def test_the_newest_picture_is_returned_once(tmp_path: Path) -> None:
    write(tmp_path, "new.JPG", JPEG % 2, NOW - 10)
    write(tmp_path, "old.jpg", JPEG % 1, NOW - 20)
    write(tmp_path, "newer.txt", b"text", NOW - 5)
    write(tmp_path, ".hidden.jpg", JPEG % 3, NOW - 5)
    write(tmp_path, "empty.jpg", b"", NOW - 5)
    (tmp_path / "folder.jpg").mkdir()
    one = source(tmp_path)
    assert [await one.fetch(), await one.fetch()] == [JPEG % 2, None]
    write(tmp_path, "new.JPG", JPEG % 4, NOW - 8)
    assert await one.fetch() == JPEG % 4


async def test_a_picture_that_is_being_written_is_awaited_but_not_forever(tmp_path: Path) -> None:
    one = source(tmp_path)
    write(tmp_path, "a.jpg", b"\xff\xd8 half", NOW - 1)
    assert await one.fetch() is None
    write(tmp_path, "a.jpg", b"\xff\xd8 half and whole \xff\xd9", NOW - 1)
    assert await one.fetch() == b"\xff\xd8 half and whole \xff\xd9"
    write(tmp_path, "b.png", b"\x89PNG cut", NOW - 0.5)
    assert await one.fetch() is None
    write(tmp_path, "b.png", b"\x89PNG cut", NOW - 50)
    write(tmp_path, "c.png", b"\x89PNG cut", NOW - 6)
    (tmp_path / "a.jpg").unlink()
    assert await one.fetch() == b"\x89PNG cut", "the question reports that it cannot be decoded"


async def test_a_missing_folder_is_a_failure_until_it_appears(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    one = source(folder)
    with pytest.raises(SourceFailed, match=r"No such file or directory.*create it"):
        await one.fetch()
    folder.mkdir()
    assert await one.fetch() is None
    write(folder, "a.jpg", JPEG % 1)
    assert await one.fetch() == JPEG % 1


async def test_a_picture_outside_the_roots_or_too_large_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    write(outside, "secret.jpg", JPEG % 1)
    (inside / "link.jpg").symlink_to(outside / "secret.jpg")
    with pytest.raises(SourceFailed, match="outside image_roots"):
        await source(inside).fetch()
    (inside / "link.jpg").unlink()
    write(inside, "large.jpg", b"x" * 101)
    with pytest.raises(SourceFailed, match="more than 100 bytes"):
        await source(inside).fetch()
