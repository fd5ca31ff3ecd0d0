"""What a service tells systemd."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from inarvl.systemd import notify


def test_a_manager_that_does_not_read_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full socket drops a message; what is sent after it was read arrives again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        sent = 0
        while notify("WATCHDOG=1"):
            sent += 1
        assert [manager.recv(64) for _ in range(sent)] == [b"WATCHDOG=1"] * sent
        assert notify("READY=1")
        assert manager.recv(64) == b"READY=1"
