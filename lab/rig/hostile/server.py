"""The server: every case has its own port, and answers with the bytes of its script."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

from lab.rig.hostile.cases import DROP, SILENCE, HostilePeer

PIECE = 65_536
MAX_REQUEST_BYTES = 32 * 2**20


class HostileServer:
    """Serves the peers of a table, each at a port of its own.

    Attributes:
        asked: how many questions each peer has received.
    """

    def __init__(self, peers: Mapping[str, HostilePeer], host: str = "127.0.0.1") -> None:
        self.asked: Counter[str] = Counter()
        self._peers = peers
        self._host = host
        self._ports: dict[str, int] = {}

    def url(self, name: str) -> str:
        """Returns the URL of a peer."""
        return f"http://{self._host}:{self._ports[name]}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves inside the block."""
        connections: set[asyncio.Task[None]] = set()

        def accept(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(name, reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        servers = []
        for name in self._peers:
            server = await asyncio.start_server(partial(accept, name), self._host, 0, limit=2**20)
            self._ports[name] = server.sockets[0].getsockname()[1]
            servers.append(server)
        try:
            yield
        finally:
            for server in servers:
                server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._answer(name, reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns whether to keep the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        length = next((int(line[15:]) for line in head if line.lower().startswith("content-length:")), 0)
        await reader.readexactly(min(length, MAX_REQUEST_BYTES))
        path = head[0].split(" ")[1].removeprefix("/")
        peer = self._peers[name]
        self.asked[name] += path.endswith("chat/completions")
        reply = peer.reply(path)
        if reply == SILENCE:
            await asyncio.sleep(3600)
        if reply != DROP:
            for start in range(0, len(reply), PIECE):
                writer.write(reply[start : start + PIECE])
                await writer.drain()
        return reply != DROP and peer.keeps_alive
