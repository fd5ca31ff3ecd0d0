"""The server: every case has its own base path, and answers with the bytes of its script."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from lab.rig.hostile.cases import DROP, SILENCE, HostilePeer

PIECE = 65_536
MAX_REQUEST_BYTES = 32 * 2**20


class HostileServer:
    """Serves the peers of a table, each below /NAME.

    Attributes:
        asked: how many questions each peer has received.
    """

    def __init__(self, peers: Mapping[str, HostilePeer], host: str = "127.0.0.1") -> None:
        self.asked: Counter[str] = Counter()
        self._peers = peers
        self._host = host
        self._port = 0

    def url(self, name: str) -> str:
        """Returns the URL of a peer."""
        return f"http://{self._host}:{self._port}/{name}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves inside the block."""
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, self._host, 0, limit=2**20)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns whether to keep the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        length = next((int(line[15:]) for line in head if line.lower().startswith("content-length:")), 0)
        await reader.readexactly(min(length, MAX_REQUEST_BYTES))
        _, name, path = head[0].split(" ")[1].split("/", 2)
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
