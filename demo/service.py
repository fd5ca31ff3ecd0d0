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
        notify = folder / f"{name}.notify"
        notify.unlink(missing_ok=True)
        self._channel.bind(str(notify))
        self._channel.settimeout(0.2)
        environment = dict(os.environ, NOTIFY_SOCKET=str(notify))
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def wait_ready(self, timeout_s: float, on_status: Callable[[str], None]) -> None:
        """Return when the service is ready, passing on what it says meanwhile; nothing is listened to after.

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
                self._channel.close()
                return
        end = self._log.read_text(errors="replace")[-2000:]
        raise ServiceFailed(f"{self.name} did not become ready (exit {self._process.poll()}):\n{end}")

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it the way systemd does, SIGTERM and after 20 seconds SIGKILL; its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode
        finally:
            self._channel.close()
