"""llama.cpp's server as the child of a systemd service, for which it speaks with systemd.

1. The service is ready when /health has status 200: the model is loaded.
2. From then on systemd's watchdog is fed while /metrics answers. The thread that computes answers it between
   two batches; /health has a thread of its own, which also answers when the computation hangs.
3. If /metrics has not answered for `stuck_s`, the server is killed. If it ends, the service ends with an
   error, so that systemd restarts it.
4. SIGTERM and SIGINT stop the server, and the service ends without an error.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp
import anyio

from inarvl import systemd
from vlm.errors import VlmUnavailable
from vlm.sockets import remove_stale

log = logging.getLogger(__name__)

LOADING_S = 0.2  # between two checks while it loads
WATCH_S = 5.0
CHECK_TIMEOUT_S = 10.0
SOCKET_MODE = 0o660  # members of the group may connect


class ServerProcess:
    """A server that listens on the unix socket at `path`."""

    def __init__(self, command: Sequence[str], path: Path, name: str) -> None:
        self._command = command
        self._path = path
        self._name = name
        self._stopping = False

    async def run(self, stuck_s: float) -> None:
        """Runs the server until SIGTERM or SIGINT.

        Raises:
            ListenError: another server uses the socket.
            VlmUnavailable: the server cannot be run, ended, or did not answer any more and was killed.
        """
        remove_stale(self._path)
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL)
        except OSError as error:
            raise VlmUnavailable(
                f"{self._command[0]} cannot be run ({error.strerror}); is it built for this processor?"
            ) from error
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, process)
        connector = aiohttp.UnixConnector(str(self._path))
        timeout = aiohttp.ClientTimeout(CHECK_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession("http://llamacpp", connector=connector, timeout=timeout) as http:
                await self._until_ready(process, http)
                await self._watch(process, http, stuck_s)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._path.unlink(missing_ok=True)

    async def _until_ready(self, process: Process, http: aiohttp.ClientSession) -> None:
        systemd.notify(f"STATUS=loading {self._name}")
        while await _status(http, "/health") != 200:
            if await _ended(process, LOADING_S):
                if self._stopping:
                    return
                raise VlmUnavailable(
                    f"{self._command[0]} ended with {_reason(process)} while it loaded {self._name}; its "
                    "lines above say why. Is it too old for this model, or built for another processor? Is "
                    "MMPROJ that of another model?"
                )
        self._path.chmod(SOCKET_MODE)
        systemd.notify(f"READY=1\nSTATUS=serving {self._name}")
        log.info("ready: %s", self._name)

    async def _watch(self, process: Process, http: aiohttp.ClientSession, stuck_s: float) -> None:
        answered_at = time.monotonic()
        while not await _ended(process, WATCH_S):
            if await _status(http, "/metrics") is not None:
                answered_at = time.monotonic()
            elif not self._stopping and time.monotonic() - answered_at > stuck_s:
                raise VlmUnavailable(
                    f"{self._command[0]} has not answered for {stuck_s:.0f} s; it is killed, to be restarted"
                )
            systemd.notify("WATCHDOG=1")
        if not self._stopping:
            raise VlmUnavailable(f"{self._command[0]} ended with {_reason(process)}, to be restarted")

    def _stop(self, process: Process) -> None:
        self._stopping = True
        systemd.notify("STOPPING=1\nSTATUS=stopping")
        with suppress(ProcessLookupError):
            process.terminate()


async def _ended(process: Process, within_s: float) -> bool:
    with anyio.move_on_after(within_s):
        await process.wait()
    return process.returncode is not None


async def _status(http: aiohttp.ClientSession, path: str) -> int | None:
    """Returns the status of a response; None without one."""
    try:
        async with http.get(path) as response:
            return response.status
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
        return None


def _reason(process: Process) -> str:
    status = process.returncode or 0
    return f"status {status}" if status >= 0 else signal.Signals(-status).name
