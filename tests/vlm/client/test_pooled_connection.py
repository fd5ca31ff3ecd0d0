"""A pooled connection that the server has closed costs a question nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from lab.rig.hostile.cases import answer, http
from vlm import VlmClient, VlmUnavailable

pytestmark = pytest.mark.anyio


@dataclass
class Server:
    """Answers the first request of each connection, and closes the connection at the second.

    Attributes:
        later: bytes that it sends before it closes the connection.
        refuses: whether new connections are closed without a reply.
        asked: number of requests.
        connections: number of connections.
    """

    later: bytes = b""
    refuses: bool = False
    asked: int = 0
    connections: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[VlmClient]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        client = VlmClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        try:
            yield client
        finally:
            await client.aclose()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for reply in (b"" if self.refuses else http(answer("red")), self.later):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
            self.asked += 1
            writer.write(reply)
            if not reply:
                break
        writer.close()


async def ask(client: VlmClient) -> str:
    return (await client.complete("what?", b"\xff\xd8", model="m", max_tokens=4, timeout_s=10)).text


async def test_a_question_on_a_connection_that_was_closed_is_sent_again_on_a_new_one() -> None:
    server = Server()
    async with server.running() as client:
        assert [await ask(client) for _ in range(4)] == ["red"] * 4
    assert server.connections < server.asked, "connections were reused"


async def test_it_is_sent_again_only_once() -> None:
    server = Server()
    async with server.running() as client:
        assert await ask(client) == "red"
        server.refuses = True
        with pytest.raises(VlmUnavailable):
            await ask(client)
    assert server.asked == 3


async def test_a_new_connection_that_is_closed_is_a_failure() -> None:
    server = Server(refuses=True)
    async with server.running() as client:
        with pytest.raises(VlmUnavailable):
            await ask(client)
    assert server.asked == 1


async def test_a_reply_that_ends_early_is_a_failure() -> None:
    server = Server(later=b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{")
    async with server.running() as client:
        assert await ask(client) == "red"
        with pytest.raises(VlmUnavailable):
            await ask(client)
    assert server.asked == 2
