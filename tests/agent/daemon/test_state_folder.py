"""No file of the agent is for other users, whatever the umask; what was set aside is deleted in time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config.privacy_settings import PrivacySettings
from agent.daemon.state_folder import MAX_AGE_S, MAX_DAMAGED, StateFolder
from agent.daemon.store import Store
from agent.spool.dead_letters import read_dead_letters
from agent.spool.file import Damage
from agent.spool.spool import Spool, SpoolEntry, SpoolFailed
from agent.spool.under_way import UnderWay

pytestmark = pytest.mark.anyio


class RecordedEvents:
    """Replaces the events."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []

    def error(self, code: str, message: str) -> None:
        self.errors.append((code, message))


def state_folder(folder: Path, **privacy: bool) -> StateFolder:
    events: Any = RecordedEvents()
    return StateFolder(folder, PrivacySettings(**privacy), events)


@pytest.fixture(params=[0, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def below(folder: Path) -> list[Path]:
    return [*folder.rglob("*")]


def check_private(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        assert stat.S_IMODE(mode) & ~(0o750 if path.is_dir() else 0o600) == 0, path


@pytest.mark.usefixtures("umask")
async def test_every_file_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    state = state_folder(folder)
    state.prepare()
    (folder / "spool.db").write_bytes(b"no database")
    spool = await Spool.open(folder / "spool.db", max_waiting=9)
    await spool.add(SpoolEntry("k", 0, 0, "t", None, b"x", "{}"))
    for _ in range(2):
        Store(folder / "mode.json").save({})
    (folder / "mode.json").write_text("damaged")
    Store(folder / "mode.json").load(lambda _: None)
    UnderWay(folder / "under-way").close()
    await state.dead_letters.set_aside("c", "k", "why", b"content")
    check_private(folder)
    assert len(below(folder)) >= 9
    await spool.close()


async def test_files_of_an_older_version_become_private(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    (folder / "set-aside").mkdir(parents=True)
    own = ["spool.db", "spool.db-wal", "learned.json", "mode.backup", "under-way", "set-aside/1.content"]
    for name in own:
        (folder / name).write_bytes(b"")
        (folder / name).chmod(0o666)
    for path in (folder, folder / "set-aside"):
        path.chmod(0o777)
    others = tmp_path / "others"
    others.write_bytes(b"")
    others.chmod(0o644)
    (folder / "mode.json").symlink_to(others)
    state_folder(folder).prepare()
    assert stat.S_IMODE(others.stat().st_mode) == 0o644
    (folder / "mode.json").unlink()
    check_private(folder)


def test_a_shared_folder_keeps_its_rights(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    state_folder(folder).prepare()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


async def test_what_was_set_aside_is_deleted_in_time(tmp_path: Path) -> None:
    state = state_folder(tmp_path)
    await state.dead_letters.set_aside("c", "k", "why", b"content")
    (letter,) = read_dead_letters(tmp_path / "set-aside")
    for number in range(1, MAX_DAMAGED + 3):
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"spool.db.damaged-{int(letter.at * 1e9) - number}{suffix}").write_bytes(b"")
    (tmp_path / f"mode.json.bad-{int(letter.at * 1e9)}").write_bytes(b"")
    (tmp_path / "learned.json").write_bytes(b"")
    state.remove_old(now_s=letter.at + MAX_AGE_S - 1)
    assert len([path for path in below(tmp_path) if "damaged" in path.name]) == MAX_DAMAGED
    assert len(read_dead_letters(tmp_path / "set-aside")) == 1
    state.remove_old(now_s=letter.at + MAX_AGE_S + 1)
    assert {path.name for path in below(tmp_path)} == {"set-aside", "learned.json"}


async def test_the_switch_keeps_no_content_of_what_is_set_aside(tmp_path: Path) -> None:
    state = state_folder(tmp_path, keep_set_aside=False)
    await state.dead_letters.set_aside("c", "k", "why", b"image")
    (tmp_path / "spool.db.damaged-1").write_bytes(b"image")
    (tmp_path / "spool.db.damaged-1-wal").write_bytes(b"image")
    state.spool_damaged(Damage("why", tmp_path / "spool.db.damaged-1", 0))
    assert [letter.reason for letter in read_dead_letters(tmp_path / "set-aside")] == ["why"]
    assert not any(b"image" in path.read_bytes() for path in below(tmp_path) if path.is_file())


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "mode.new").symlink_to(target)
    with pytest.raises(Exception, match="cannot be written"):
        Store(tmp_path / "mode.json").save({})
    assert not target.exists()


def test_a_folder_that_cannot_be_created_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SpoolFailed, match=r"cannot use state_dir .*file/state .*check the folder's owner"):
        state_folder(file / "state").prepare()
