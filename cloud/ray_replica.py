"""One replica of the application on Ray Serve: a model server on a unix socket, in the replica's process.

1. A replica is ready when its models have been loaded and have answered once.
2. Requests pass through the socket unchanged, so that a replica answers as `inarvl-vlm serve` does.
3. If the server ends because it is stuck or out of memory, the process ends, and Ray starts another replica.
4. When Ray stops a replica, the server answers the accepted requests within its drain time.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import aiohttp
import anyio
from anyio.abc import TaskStatus
from anyio.from_thread import start_blocking_portal
from ray import serve

from inarvl import logs
from vlm.server import ServeOptions, ServerInfo
from vlm.server import serve as serve_models

log = logging.getLogger(__name__)

EXIT_S = 0.5  # for the last responses to leave the process


class ServerEnded(Exception):
    """The model server of this replica has ended, and the replica will be replaced."""


@dataclass(frozen=True)
class Head:
    """Status and headers of a response."""

    status: int
    headers: Sequence[tuple[str, str]]


class Replica:
    """Runs a model server and passes requests to it.

    Raises:
        VlmError: a model cannot be served.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._stopping = True  # nothing to stop yet
        logs.configure("info")
        self._folder = TemporaryDirectory(prefix="inarvl-")
        self._options = replace(options, listen=f"unix:{self._folder.name}/vlm.sock")
        self._http: aiohttp.ClientSession | None = None
        self._portal_context = start_blocking_portal()
        self._portal = self._portal_context.__enter__()
        self._server, self._stop = self._portal.start_task(self._serve)
        self._stopping = False
        self._server.add_done_callback(self._exit)

    async def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> AsyncIterator[Head | bytes]:
        """Yields the head of the response, then the pieces of its body.

        Raises:
            ServerEnded: the server did not answer.
        """
        if self._http is None:  # created here because a session belongs to the running event loop
            connector = aiohttp.UnixConnector(self._options.listen.removeprefix("unix:"), limit=0)
            timeout = aiohttp.ClientTimeout(total=None)
            self._http = aiohttp.ClientSession(connector=connector, timeout=timeout)
        try:
            async with self._http.request(
                method, f"http://vlm{path}", headers=headers, data=body or None
            ) as response:
                yield Head(response.status, tuple(response.headers.items()))
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise ServerEnded(str(error)) from None

    async def metrics(self) -> tuple[str, str]:
        """Returns the replica's name and its metrics in the Prometheus text format."""
        pieces = [piece async for piece in self.forward("GET", "/metrics", {}, b"")]
        name = serve.get_replica_context().replica_id.unique_id
        return name, b"".join(piece for piece in pieces if isinstance(piece, bytes)).decode()

    def check_health(self) -> None:
        """Raises what ended the server, if it has ended."""
        if self._server.done():
            raise ServerEnded(str(self._server.exception()))

    def __del__(self) -> None:
        """Stops the server: Ray calls this when the accepted requests were answered."""
        if self._stopping:
            return
        self._stopping = True
        if not self._server.done():
            self._portal.call(self._stop.set)
        self._portal_context.__exit__(None, None, None)

    async def _serve(self, *, task_status: TaskStatus[anyio.Event]) -> None:
        stop = anyio.Event()

        async def on_ready(_info: ServerInfo) -> None:
            task_status.started(stop)

        await serve_models(self._options, on_ready=on_ready, stop=stop)

    def _exit(self, server: Future[None]) -> None:
        if not self._stopping:
            log.error("the model server ended, so this replica does: %s", server.exception())
            threading.Timer(EXIT_S, os._exit, (1,)).start()
