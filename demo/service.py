"""One of inarvl's own services run as a child, watched through the readiness protocol systemd uses."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from inarvl.errors import InarvlError


class ServiceFailed(InarvlError):
    """A service ended or stayed silent before it was ready; the message has the end of its log."""

    code = "service_failed"


class Service:
    """A child process that says READY=1 on $NOTIFY_SOCKET, with its output in a log file."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(folder / f"{name}.notify"))
        self._channel.settimeout(0.2)
        environment = dict(os.environ, NOTIFY_SOCKET=str(folder / f"{name}.notify"))
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def wait_ready(self, timeout_s: float, on_status: Callable[[str], None]) -> None:
        """Return when the service is ready, passing on what it says meanwhile.

        Raises:
            ServiceFailed: it ended or took longer than `timeout_s`.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            try:
                lines = self._channel.recv(4096).decode(errors="replace").splitlines()
            except TimeoutError:
                if self._process.poll() is not None:
                    break
                continue
            for line in lines:
                if line.startswith("STATUS="):
                    on_status(line.removeprefix("STATUS="))
            if "READY=1" in lines:
                return
        end = self._log.read_text(errors="replace")[-2000:]
        raise ServiceFailed(f"{self.name} did not become ready (exit {self._process.poll()}):\n{end}")

    def stop(self) -> None:
        """End it the way systemd does: SIGTERM, and SIGKILL after 20 seconds."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._channel.close()
