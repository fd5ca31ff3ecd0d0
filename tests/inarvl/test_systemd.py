"""What is said to systemd reaches it, and never holds up who says it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inarvl import systemd


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(30)
        yield channel


def fill() -> int:
    """Say that all is well until there is no room; how often that went."""
    said = 0
    while systemd.notify(f"WATCHDOG=1\nSTATUS={said}"):
        said += 1
        assert said < 100_000, "a queue that nobody reads is bounded"
    return said


def test_a_reader_that_no_longer_reads_does_not_hold_up_the_watchdogs_word(listener: socket.socket) -> None:
    said = fill()
    assert said > 0
    assert listener.recv(4096) == b"WATCHDOG=1\nSTATUS=0"
    assert systemd.notify("WATCHDOG=1\nSTATUS=again"), "it is heard again as soon as there is room"


@pytest.mark.parametrize("state", ["READY=1\nSTATUS=all is well", "STOPPING=1"])
def test_a_change_of_state_waits_for_room(listener: socket.socket, state: str) -> None:
    said = fill()
    told: list[bool] = []
    teller = threading.Thread(target=lambda: told.append(systemd.notify(state)))
    teller.start()
    heard = [listener.recv(4096).decode() for _ in range(said)]
    teller.join()
    assert told == [True]
    assert all(word.startswith("WATCHDOG=1") for word in heard)
    assert listener.recv(4096).decode() == state


def test_nothing_is_said_where_nobody_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not systemd.notify("READY=1")
