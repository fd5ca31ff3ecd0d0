"""A long way to the cloud, emulated: a TCP relay on loopback that adds delay and limits the rate.

Only the demo's cloud peer is behind it, so that there is something to decide; the demo says so.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.memory import MemoryObjectReceiveStream

CHUNK = 16_384
LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@dataclass(frozen=True)
class Wan:
    """A link with a round trip of `rtt_ms` and `mbps` in each direction."""

    rtt_ms: float
    mbps: float

    @asynccontextmanager
    async def to(self, target_port: int) -> AsyncIterator[int]:
        """Relay a port of loopback to `target_port`; gives the port."""

        async def relay(client: SocketStream) -> None:
            async with client:
                with suppress(OSError):
                    server = await anyio.connect_tcp("127.0.0.1", target_port)
                    async with server, anyio.create_task_group() as both:
                        both.start_soon(self._carry, client, server)
                        both.start_soon(self._carry, server, client)

        async with anyio.create_task_group() as tasks:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            tasks.start_soon(listener.serve, relay)
            yield int(listener.extra(SocketAttribute.local_port))
            tasks.cancel_scope.cancel()

    async def _carry(self, source: SocketStream, sink: SocketStream) -> None:
        on_the_way, arriving = anyio.create_memory_object_stream[tuple[float, bytes]](1000)
        async with anyio.create_task_group() as pipe, on_the_way:
            pipe.start_soon(_deliver, arriving, sink)
            free_at = 0.0
            try:
                while data := await source.receive(CHUNK):
                    free_at = max(free_at, time.monotonic()) + len(data) * 8e-6 / self.mbps
                    await on_the_way.send((free_at + self.rtt_ms / 2e3, data))
            except LOST:
                on_the_way.close()


async def _deliver(arriving: MemoryObjectReceiveStream[tuple[float, bytes]], sink: SocketStream) -> None:
    with suppress(*LOST):
        async for at, data in arriving:
            await anyio.sleep(max(0.0, at - time.monotonic()))
            await sink.send(data)
        await sink.send_eof()
