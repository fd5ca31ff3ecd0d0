"""A query that was in work when the process was killed is known at the next start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agent.spool.under_way import SLOTS, UnderWay


def killed_at(path: Path, *names: str) -> None:
    """Works on queries in a process that is killed in the middle."""
    child = os.fork()
    if child == 0:
        under_way = UnderWay(path)
        work = [under_way.work_on(name) for name in names]
        for one in work:
            one.__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def verdict(path: Path, name: str) -> str:
    under_way = UnderWay(path)
    try:
        return under_way.verdict(name)
    finally:
        under_way.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "under-way"


def test_nothing_is_known_at_first_and_after_finished_work(path: Path) -> None:
    under_way = UnderWay(path)
    with under_way.work_on("a"):
        pass
    under_way.close()
    assert verdict(path, "a") == "unknown"


def test_work_at_one_crash_is_suspect_until_it_ends(path: Path) -> None:
    killed_at(path, "a")
    assert verdict(path, "a") == "suspect"
    under_way = UnderWay(path)
    with under_way.work_on("a"):
        pass
    under_way.close()
    assert verdict(path, "a") == "unknown"


def test_work_at_two_crashes_in_a_row_is_convicted_until_it_is_answered(path: Path) -> None:
    killed_at(path, "a", "b")
    killed_at(path, "a")
    assert (verdict(path, "a"), verdict(path, "b")) == ("convicted", "suspect")
    under_way = UnderWay(path)
    under_way.forget("a")
    under_way.close()
    assert verdict(path, "a") == "unknown"


def test_an_error_counts_as_a_crash_and_a_stop_does_not(path: Path) -> None:
    under_way = UnderWay(path)
    with pytest.raises(RuntimeError), under_way.work_on("error"):
        raise RuntimeError
    with pytest.raises(KeyboardInterrupt), under_way.work_on("stop"):
        raise KeyboardInterrupt
    under_way.close()
    assert (verdict(path, "error"), verdict(path, "stop")) == ("suspect", "unknown")


def test_more_names_than_slots_and_a_damaged_file_do_no_harm(path: Path) -> None:
    killed_at(path, *(f"{number}" for number in range(SLOTS + 10)))
    under_way = UnderWay(path)
    with under_way.work_on("new"):
        pass
    under_way.close()
    path.write_bytes(b"\xff" * 100)
    assert verdict(path, "new") == "unknown"


def test_without_a_file_nothing_is_suspected(tmp_path: Path) -> None:
    under_way = UnderWay(tmp_path / "missing" / "under-way")
    with under_way.work_on("a"):
        assert under_way.verdict("a") == "unknown"
