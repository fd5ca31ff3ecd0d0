"""Records every byte that a server is sent, as somebody on the network or the server itself sees it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 65_536
PICTURE = re.compile(rb"base64,([A-Za-z0-9+/]+=*)")
QUESTION = b"POST /v1/chat/completions"


class Wiretap:
    """Forwards connections at a TCP port to a server at another one.

    Attributes:
        sent: all bytes that clients sent, connection by connection.
    """

    def __init__(self) -> None:
        self.sent: list[bytearray] = []

    @asynccontextmanager
    async def listening(self, port: int, server_port: int) -> AsyncIterator[None]:
        """Forwards the connections at `port` of loopback to `server_port`."""
        forwarding: set[asyncio.Task[None]] = set()

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            recorded = bytearray()
            self.sent.append(recorded)
            with suppress(OSError):
                from_server, to_server = await asyncio.open_connection("127.0.0.1", server_port)
                ended = (_copied(reader, to_server, recorded), _copied(from_server, writer, bytearray()))
                await asyncio.gather(*ended)
            writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(forward(reader, writer))
            forwarding.add(task)
            task.add_done_callback(forwarding.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            for task in (*forwarding,):
                task.cancel()

    def forget(self) -> None:
        """Forgets what was sent so far; open connections are recorded further."""
        for sent in self.sent:
            sent.clear()

    @property
    def everything(self) -> bytes:
        """All that was sent, and after it the pictures that are in it in base64."""
        sent = b"\n".join(map(bytes, self.sent))
        return b"\n".join([sent, *pictures_in(sent)])

    @property
    def pictures(self) -> list[bytes]:
        """The encoded pictures that were sent."""
        return pictures_in(b"\n".join(map(bytes, self.sent)))

    @property
    def questions(self) -> int:
        """How many requests asked a model, about a picture or in text alone."""
        return sum(bytes(sent).count(QUESTION) for sent in self.sent)


def pictures_in(sent: bytes) -> list[bytes]:
    """Returns the encoded pictures in the data URLs of requests."""
    return [base64.b64decode(found) for found in PICTURE.findall(sent)]


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            record += chunk
            writer.write(chunk)
            await writer.drain()
    writer.close()
