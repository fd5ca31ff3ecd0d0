"""Idle connections are closed, and never keep a new one away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from vlm import connections
from vlm.connections import BoundedSite, Connections, connection_limit
from vlm.errors import InvalidRequest, VlmBusy
from vlm.request_body import MAX_BYTES, BodyReader

pytestmark = pytest.mark.anyio
TIMEOUT_S = 30
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving(limit: int, answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[int]:
    """Serves `answer` at /; yields the port."""
    bounded = Connections(limit)
    app = web.Application(middlewares=[bounded.middleware])
    app.router.add_route("*", "/", answer)
    runner = web.AppRunner(app, lingering_time=0)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await BoundedSite(runner, listener, bounded).start()
        try:
            yield listener.getsockname()[1]
        finally:
            await runner.cleanup()


async def ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def connect(stack: AsyncExitStack, port: int) -> Stream:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    return reader, writer


async def get(port: int) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
        return await response.text()


async def ended(stream: Stream) -> bool:
    with anyio.fail_after(TIMEOUT_S):
        return await stream[0].read(1) == b""


async def test_idle_connections_at_the_limit_make_room_for_a_request() -> None:
    async with serving(4, ok) as port, AsyncExitStack() as stack:
        idle = [await connect(stack, port) for _ in range(20)]
        assert await get(port) == "ok"
        assert await ended(idle[0])


async def test_connections_in_use_are_not_closed_for_a_new_one() -> None:
    arrived, leave = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        arrived.release()
        await leave.wait()
        return web.Response(text="ok")

    async with serving(2, slow) as port, AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await get(port))

        for _ in range(2):
            tasks.start_soon(ask)
            await arrived.acquire()
        assert await ended(await connect(stack, port))
        leave.set()
    assert answers == ["ok", "ok"]


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_a_connection_without_a_whole_request_is_closed(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_S", 0.05)
    monkeypatch.setattr(connections, "CHECK_S", 0.01)
    async with serving(4, ok) as port, AsyncExitStack() as stack:
        stream = await connect(stack, port)
        stream[1].write(sent)
        assert await ended(stream)


async def test_a_connection_without_a_further_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEPALIVE_S", 0.05)
    monkeypatch.setattr(connections, "CHECK_S", 0.01)
    async with serving(4, ok) as port, AsyncExitStack() as stack:
        reader, writer = await connect(stack, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with anyio.fail_after(TIMEOUT_S):
            assert b"200 OK" in await reader.read()


def test_the_limit_leaves_files_for_the_rest_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.resource, "getrlimit", lambda _: (400, 4096))
    assert connection_limit() == 144


@asynccontextmanager
async def reading(bodies: BodyReader, errors: list[Exception]) -> AsyncIterator[int]:
    async def read(request: web.Request) -> web.Response:
        try:
            await bodies.read(request)
        except (VlmBusy, InvalidRequest, web.HTTPRequestEntityTooLarge) as error:
            errors.append(error)
        return web.Response(text="ok")

    async with serving(8, read) as port:
        yield port


async def post(port: int, data: Any) -> None:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"http://127.0.0.1:{port}/", data=data) as response:
                await response.read()
        except aiohttp.ClientError:  # the server closes the connection before it has the whole body
            pass


async def test_bodies_share_a_limit_that_is_free_again_afterwards() -> None:
    errors: list[Exception] = []
    bodies = BodyReader(most=1000)
    async with reading(bodies, errors) as port:
        await post(port, bytes(900))
        assert errors == []
        await post(port, bytes(1100))
        assert [type(error) for error in errors] == [VlmBusy]
        await post(port, bytes(900))
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [(b'{"a":[' + b"[]," * 100_000 + b"1]}", "invalid_json"), (b" " * (MAX_BYTES + 1), None)],
)
async def test_a_body_that_is_expensive_to_read_is_refused(data: bytes, code: str | None) -> None:
    errors: list[Any] = []
    async with reading(BodyReader(), errors) as port:
        await post(port, data)
    (error,) = errors
    assert getattr(error, "code", None) == code


async def test_a_body_that_does_not_arrive_is_refused() -> None:
    errors: list[Any] = []
    async with reading(BodyReader(time_s=0.05), errors) as port, AsyncExitStack() as stack:
        reader, writer = await connect(stack, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        with anyio.fail_after(TIMEOUT_S):
            await reader.readline()
    assert errors[0].status == 408
