"""One of inarvl's own services run as a child, watched through the readiness protocol systemd uses."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from inarvl.errors import InarvlError

LISTEN_S = 0.2


class ServiceFailed(InarvlError):
    """A service ended or stayed silent before it was ready; the message has the end of its log."""

    code = "service_failed"


class Service:
    """A child process that says READY=1 on $NOTIFY_SOCKET, with its output in a log file.

    What it says is read all the time, as systemd does: a queue that is full loses what comes.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify = folder / f"{name}.notify"
        notify.unlink(missing_ok=True)
        self._channel.bind(str(notify))
        self._channel.settimeout(LISTEN_S)
        self._heard: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._ended = threading.Event()
        threading.Thread(target=self._listen, name=f"{name} listener", daemon=True).start()
        environment = dict(os.environ, NOTIFY_SOCKET=str(notify))
        with self._log.open("ab") as output:
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
                lines = self._heard.get(timeout=LISTEN_S)
            except queue.Empty:
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

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._ended.set()

    def stop(self) -> int:
        """End it the way systemd does, SIGTERM and after 20 seconds SIGKILL; its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode
        finally:
            self._ended.set()

    def _listen(self) -> None:
        """Take in what is said, up to READY=1 for `wait_ready`."""
        ready = False
        with self._channel:
            while not self._ended.is_set():
                try:
                    lines = self._channel.recv(4096).decode(errors="replace").splitlines()
                except TimeoutError:
                    continue
                if not ready:
                    self._heard.put(lines)
                    ready = "READY=1" in lines
