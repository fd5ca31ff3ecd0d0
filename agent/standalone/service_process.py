"""One of inarvl's services as a child process that reports its readiness as systemd services do."""

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

POLL_S = 0.2
STOP_S = 60.0
LOG_END = 2000


class ServiceFailed(InarvlError):
    """A service ended or timed out before it was ready; the message has the end of its log."""

    code = "service_failed"


class ServiceProcess:
    """A child process that sends READY=1 to $NOTIFY_SOCKET and whose output goes to a log file.

    A thread reads the socket until the process is stopped, because a sender blocks when the socket is full.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = folder / f"{name}.notify"
        address.unlink(missing_ok=True)
        self._socket.bind(str(address))
        self._socket.settimeout(POLL_S)
        self._received: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._ended = threading.Event()
        threading.Thread(target=self._receive, name=f"{name} notifications", daemon=True).start()
        environment = dict(os.environ, NOTIFY_SOCKET=str(address))
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for its parent alone
            )

    def wait_ready(self, timeout_s: float, on_status: Callable[[str], None]) -> None:
        """Returns when the service is ready.

        Args:
            timeout_s: How long to wait.
            on_status: Receives each status text that the service sends before it is ready.

        Raises:
            ServiceFailed: It ended, or was not ready within `timeout_s`.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            try:
                lines = self._received.get(timeout=POLL_S)
            except queue.Empty:
                if self._process.poll() is not None:
                    break
                continue
            for line in lines:
                if line.startswith("STATUS="):
                    on_status(line.removeprefix("STATUS="))
            if "READY=1" in lines:
                return
        status = self._process.poll()
        problem = "was not ready in time" if status is None else f"ended with status {status}"
        raise ServiceFailed(f"{self.name} {problem}:\n{self.log_end()}")

    def log_end(self) -> str:
        """Returns the end of its log."""
        return self._log.read_text(errors="replace")[-LOG_END:].strip()

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """Kills the process, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._ended.set()

    def stop(self) -> int:
        """Stops the process as systemd does: SIGTERM, and SIGKILL after STOP_S.

        Returns:
            The exit status.
        """
        self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode
        finally:
            self._ended.set()

    def _receive(self) -> None:
        """Queues the notifications up to READY=1 for `wait_ready` and discards later ones."""
        ready = False
        with self._socket:
            while not self._ended.is_set():
                try:
                    lines = self._socket.recv(4096).decode(errors="replace").splitlines()
                except TimeoutError:
                    continue
                if not ready:
                    self._received.put(lines)
                    ready = "READY=1" in lines
