"""The command `inarvl-vlm serve` as a process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from vlm import VlmClient

pytestmark = pytest.mark.anyio

Build = Callable[[str], Path]


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Reads the notifications to systemd up to the first that begins with the given text."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(100)

        def read_to(beginning: str) -> str:
            while True:
                message = channel.recv(4096).decode()
                if message.startswith(beginning):
                    return message

        yield read_to


def command(checkpoint: Path, listen: str) -> list[str]:
    program = [sys.executable, "-c", "from vlm.cli import app; app()", "serve", "--device", "cpu"]
    return [*program, "--threads", "1", "--model", str(checkpoint), "--name", "small", "--listen", listen]


@contextmanager
def started(arguments: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Runs the command as a child process, killed at the end of the `with`."""
    with subprocess.Popen(
        arguments, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
async def test_the_command_serves_until_sigterm_and_notifies_systemd(
    checkpoint: Build, tmp_path: Path, jpeg: bytes, notified: Callable[[str], str]
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    with started(command(checkpoint("llava"), f"unix:{tmp_path}/s"), **environment) as process:
        ready = await to_thread.run_sync(notified, "READY=1")
        assert ready == "READY=1\nSTATUS=serving small"
        await to_thread.run_sync(notified, "WATCHDOG=1")
        client = VlmClient(f"unix:{tmp_path}/s")
        assert (await client.complete("?", jpeg, model="small", max_tokens=2, timeout_s=30)).text
        await client.aclose()
        process.send_signal(signal.SIGTERM)
        assert "draining" in await to_thread.run_sync(notified, "STOPPING=1")
        _, log = await to_thread.run_sync(partial(process.communicate, timeout=30))
    assert process.returncode == 0, log
    assert "ready: small" in log


def test_the_command_reports_an_error_in_one_line(tmp_path: Path) -> None:
    without_checkpoint = command(tmp_path, f"unix:{tmp_path}/s")
    ran = subprocess.run(without_checkpoint, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == f"inarvl-vlm: {tmp_path} holds no config.json; give the folder of a checkpoint\n"
