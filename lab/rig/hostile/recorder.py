"""A model server that records everything it is sent, for tests of who is sent what."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from lab.rig.hostile.cases import answer, http, listed, model

IMAGE = b"data:image/"
TLS_RECORD = b"\x16"


class Recorder:
    """Answers like any OpenAI-compatible server with one model.

    Attributes:
        port: where it listens.
        connections: how many were made to it, without those whose TLS failed.
        received: all bytes of requests, after decryption.
        reply: sent to every request instead of an answer, if it is not empty.

    Args:
        tls: its certificate; None for plain HTTP.
        said: what it answers.
        name: of its model.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, said: str = "yes", name: str = "m") -> None:
        self._tls = tls
        self._said = said
        self._name = name
        self.port = 0
        self.connections = 0
        self.received = b""
        self.reply = b""
        self._open: set[asyncio.Task[None]] = set()

    @property
    def questions(self) -> int:
        """How many questions it received."""
        return self.received.count(b"chat/completions HTTP/")

    @property
    def images(self) -> int:
        """How many images it received."""
        return self.received.count(IMAGE)

    @property
    def keys(self) -> int:
        """How many requests had a key."""
        return self.received.lower().count(b"authorization:")

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Recorder]:
        """Serves inside the block."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.ensure_future(self._serve(reader, writer))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

        server = await asyncio.start_server(accept, host, port, limit=2**24, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while True:
                    writer.write(await self._answer(reader))
                    await writer.drain()
            if self.received == TLS_RECORD:  # as servers do without TLS
                writer.write(http(b"", 400))
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        first = await reader.readexactly(1)
        if first == TLS_RECORD:
            self.received += first
            raise ConnectionResetError
        try:
            head = first + await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            self.received += first + error.partial
            raise
        self.received += head
        lines = head.decode("latin-1").split("\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
        self.received += await reader.readexactly(length)
        path = lines[0].split(" ")[1]
        if self.reply:
            return self.reply
        if path.endswith("/chat/completions"):
            return http(answer(self._said))
        if path.endswith("/models"):
            return listed(model() | {"id": self._name})
        return http(json.dumps({"status": "ready"}).encode())
