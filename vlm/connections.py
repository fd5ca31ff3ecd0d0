"""Limits the HTTP connections of a server, so that idle ones cannot keep others away.

1. A connection that has sent no complete request within HEADER_S is closed, and one that sends no further
   request within KEEPALIVE_S. With TLS, the handshake has HEADER_S too.
2. The number of connections, each counted from its acceptance on, stays well below the process's limit of
   open files. At the limit, the one without a request that would be closed first is closed for a new one; if
   there is none, the new one is closed.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

log = logging.getLogger(__name__)

HEADER_S, KEEPALIVE_S = 10.0, 75.0
CHECK_S = 1.0
ACCEPT_PAUSE_S = 1.0
MAX_CONNECTIONS = 512
RESERVED_FILES = 256  # for everything else, and for connections that are accepted at the same moment


def connection_limit() -> int:
    """Returns the number of connections that the limit of open files allows, at most MAX_CONNECTIONS."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - RESERVED_FILES
    return max(1, min(MAX_CONNECTIONS, allowed))


class Connections:
    """The connections of one application; `middleware` must be its first one."""

    def __init__(self, limit: int | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit or connection_limit()
        self._clock = clock
        self._expires_at: dict[object, float] = {}  # of idle connections
        self._active: set[object] = set()
        self._opening: dict[asyncio.Task[None], float] = {}  # with the time at which each expires

    @property
    def middleware(self) -> Middleware:
        """Records which connections have a request in progress."""

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = request.protocol
            self._active.add(connection)
            try:
                return await handler(request)
            finally:
                self._active.discard(connection)
                self._expires_at[connection] = self._clock() + KEEPALIVE_S

        return record

    def make_room(self, server: web.Server) -> bool:
        """Returns whether one more connection may be opened; closes another one for it at the limit."""
        if len(server.connections) + len(self._opening) < self._limit:
            return True
        closable = self._closable(server)
        if not closable:
            return False
        closable[0].close()
        return True

    def open(self, server: web.Server, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Opens an accepted connection, with TLS if there is a context for it."""
        task = asyncio.ensure_future(_open(server, connection, tls))
        self._opening[task] = self._clock() + HEADER_S

        def opened(ended: asyncio.Task[None]) -> None:
            self._opening.pop(ended, None)
            if ended.cancelled():
                connection.close()

        task.add_done_callback(opened)

    async def close_idle(self, server: web.Server) -> None:
        """Closes connections that are idle for too long, until cancelled."""
        while True:
            await anyio.sleep(CHECK_S)
            now = self._clock()
            for connection in self._closable(server):
                if connection.expires_at <= now:
                    connection.close()
            open_now = set(server.connections)
            self._expires_at = {one: at for one, at in self._expires_at.items() if one in open_now}

    def stop_opening(self) -> None:
        """Closes the connections that are not open yet."""
        for task in tuple(self._opening):
            task.cancel()

    def _closable(self, server: web.Server) -> list[_Closable]:
        """Returns the connections without a request, in the order in which they expire."""
        idle = [one for one in server.connections if one not in self._active and one.transport is not None]
        for connection in idle:
            self._expires_at.setdefault(connection, self._clock() + HEADER_S)
        closable = [_Closable(at, partial(self._cancel, task)) for task, at in self._opening.items()]
        closable += [_Closable(self._expires_at[one], partial(_abort, one)) for one in idle]
        return sorted(closable, key=lambda one: one.expires_at)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        del self._opening[task]
        task.cancel()


class BoundedSite(web.BaseSite):
    """A listening socket whose connections `Connections` limits.

    Args:
        tls: returns the context of a new connection; None for plain http.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        connections: Connections,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        super().__init__(runner)
        self._listener = listener
        self._connections = connections
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        """The address."""
        return f"{'http' if self._tls is None else 'https'}://{self._listener.getsockname()}"

    async def start(self) -> None:
        """Starts to accept connections."""
        await super().start()
        server = self._runner.server
        assert server is not None, "the runner is set up"
        self._listener.setblocking(False)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._accept(server)),
            loop.create_task(self._connections.close_idle(server)),
        ]

    async def stop(self) -> None:
        """Stops accepting connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()
        self._connections.stop_opening()
        await super().stop()

    async def _accept(self, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except ConnectionError:  # it has ended already
                continue
            except OSError as error:  # such as too many open files
                log.warning("cannot accept connections now: %s", error)
                await anyio.sleep(ACCEPT_PAUSE_S)
                continue
            if self._connections.make_room(server):
                self._connections.open(server, connection, self._tls and self._tls())
            else:
                connection.close()
            await asyncio.sleep(0)  # sock_accept does not wait if a connection is there already


@dataclass(frozen=True)
class _Closable:
    expires_at: float
    close: Callable[[], object]


async def _open(server: web.Server, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Returns when the server has the connection, or when its TLS handshake has failed."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(server, connection, ssl=tls)
    except OSError as error:
        log.debug("a connection could not be opened: %s", error)


def _abort(connection: web.RequestHandler) -> None:
    """Closes without waiting for the client, which with TLS could take half a minute."""
    transport = connection.transport
    connection.force_close()
    if transport is not None:
        transport.abort()
