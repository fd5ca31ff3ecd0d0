"""Limits the HTTP connections of a server, so that idle ones cannot keep others away.

1. A connection that has sent no complete request within HEADER_S is closed, and one that sends no further
   request within KEEPALIVE_S.
2. The number of connections stays well below the process's limit of open files. At the limit, the idle one
   that would be closed first is closed for a new one; if none is idle, the new one is closed.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADER_S, KEEPALIVE_S = 10.0, 75.0
CHECK_S = 1.0
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

    def accept(self, server: web.Server) -> asyncio.Protocol:
        """Returns the protocol of a new connection."""
        if len(server.connections) >= self._limit:
            idle = self._idle(server)
            if not idle:
                return _Closed()
            idle[0].force_close()
        connection = server()
        self._expires_at[connection] = self._clock() + HEADER_S
        return connection

    async def close_idle(self, server: web.Server) -> None:
        """Closes connections that are idle for too long, until cancelled."""
        while True:
            await anyio.sleep(CHECK_S)
            now = self._clock()
            for connection in self._idle(server):
                if self._expires_at[connection] <= now:
                    connection.force_close()
            open_now = set(server.connections)
            self._expires_at = {one: at for one, at in self._expires_at.items() if one in open_now}

    def _idle(self, server: web.Server) -> list[web.RequestHandler]:
        """Returns the idle connections, in the order in which they expire."""
        idle = [one for one in server.connections if one not in self._active and one.transport is not None]
        for connection in idle:
            self._expires_at.setdefault(connection, self._clock() + HEADER_S)
        return sorted(idle, key=lambda connection: self._expires_at[connection])


class BoundedSite(web.SockSite):
    """A listening socket whose connections `Connections` limits."""

    def __init__(self, runner: web.AppRunner, listener: socket.socket, connections: Connections) -> None:
        super().__init__(runner, listener)
        self._connections = connections

    async def start(self) -> None:
        """Starts to accept connections."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None, "the runner is set up"
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: self._connections.accept(server), sock=self._sock, backlog=self._backlog
        )
        self._closing = loop.create_task(self._connections.close_idle(server))

    async def stop(self) -> None:
        """Stops accepting connections."""
        self._closing.cancel()
        await super().stop()


class _Closed(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
