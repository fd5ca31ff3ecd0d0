"""An emulated path: a TCP relay on loopback that adds delay, jitter and losses and limits the rate.

What it carries is never lost or put out of order: a lost segment is what TCP makes of it, a pause of a round
trip and at least its least retransmission time (200 ms on Linux) for all that follows. Whatever is measured
through it is emulated.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
import numpy as np
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.memory import MemoryObjectReceiveStream

CHUNK = 16_384
SEGMENT = 1460
RETRANSMISSION_S = 0.2
LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@dataclass(frozen=True)
class Path:
    """What a path is like, the same in both directions.

    Attributes:
        rtt_ms: round trip without load.
        mbps: rate in each direction, in megabits per second.
        jitter_ms: deviation of the round trip.
        loss: share of segments that are lost.
    """

    rtt_ms: float
    mbps: float
    jitter_ms: float = 0.0
    loss: float = 0.0


class Wan:
    """A path that may be changed while it carries.

    Args:
        rng: draws jitter and losses.
    """

    def __init__(self, path: Path, *, rng: np.random.Generator | None = None) -> None:
        self.path = path
        self._rng = rng or np.random.default_rng(0)

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
                    free_at = max(free_at, time.monotonic()) + len(data) * 8e-6 / self.path.mbps
                    free_at += self._pause_s(len(data))
                    await on_the_way.send((free_at + self._way_s(), data))
            except LOST:
                on_the_way.close()

    def _way_s(self) -> float:
        path = self.path
        deviation_ms = path.jitter_ms / 2 * float(self._rng.standard_normal()) if path.jitter_ms else 0.0
        return max(0.0, path.rtt_ms / 2 + deviation_ms) / 1e3

    def _pause_s(self, size: int) -> float:
        if not self.path.loss or self._rng.random() >= 1 - (1 - self.path.loss) ** -(-size // SEGMENT):
            return 0.0
        return RETRANSMISSION_S + self.path.rtt_ms / 1e3


async def _deliver(arriving: MemoryObjectReceiveStream[tuple[float, bytes]], sink: SocketStream) -> None:
    with suppress(*LOST):
        async for at, data in arriving:
            await anyio.sleep(max(0.0, at - time.monotonic()))
            await sink.send(data)
        await sink.send_eof()
