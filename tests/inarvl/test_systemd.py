"""Notifications reach systemd, and never block the process that sends them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inarvl import systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which systemd would receive the notifications."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(30)
        yield receiver


def fill_queue() -> int:
    """Sends notifications until the queue is full; returns how many were sent."""
    sent = 0
    while systemd.notify(f"WATCHDOG=1\nSTATUS={sent}"):
        sent += 1
        assert sent < 100_000, "the queue of a socket is bounded"
    return sent


def test_a_full_queue_drops_a_watchdog_notification_without_blocking(manager: socket.socket) -> None:
    assert fill_queue() > 0
    assert manager.recv(4096) == b"WATCHDOG=1\nSTATUS=0"
    assert systemd.notify("WATCHDOG=1\nSTATUS=again"), "it is sent again as soon as there is space"


def test_after_a_full_queue_was_read_notifications_arrive_again(manager: socket.socket) -> None:
    expected = [f"WATCHDOG=1\nSTATUS={number}".encode() for number in range(fill_queue())]
    assert [manager.recv(64) for _ in expected] == expected
    assert systemd.notify("READY=1")
    assert manager.recv(64) == b"READY=1"


@pytest.mark.parametrize("state", ["READY=1\nSTATUS=all is well", "STOPPING=1"])
def test_a_change_of_state_waits_for_space(manager: socket.socket, state: str) -> None:
    sent = fill_queue()
    results: list[bool] = []
    sender = threading.Thread(target=lambda: results.append(systemd.notify(state)))
    sender.start()
    received = [manager.recv(4096).decode() for _ in range(sent)]
    sender.join()
    assert results == [True]
    assert all(notification.startswith("WATCHDOG=1") for notification in received)
    assert manager.recv(4096).decode() == state


def test_without_a_manager_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "missing"))
    assert not systemd.notify("READY=1")
