"""Emulates a WAN: a TCP relay on loopback that adds delay, jitter and losses and limits the rate.

The relay carries a byte stream, so that no data is lost or reordered. A lost segment has the effect that it
has on TCP: everything behind it waits for a round trip plus the minimum retransmission timeout (200 ms on
Linux).
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

CHUNK_BYTES = 16_384
SEGMENT_BYTES = 1460
RETRANSMISSION_TIMEOUT_S = 0.2
DISCONNECTED = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@dataclass(frozen=True)
class WanConditions:
    """Conditions of the path, equal in both directions.

    Attributes:
        rtt_ms: Round trip time without load.
        mbps: Rate of each direction, in megabits per second.
        jitter_ms: Standard deviation of the round trip time.
        loss: Share of segments that are lost.
    """

    rtt_ms: float
    mbps: float
    jitter_ms: float = 0.0
    loss: float = 0.0


class WanEmulator:
    """A path whose conditions can change while connections are open.

    Args:
        path: The conditions at the start.
        rng: Draws jitter and losses.
    """

    def __init__(self, path: WanConditions, *, rng: np.random.Generator | None = None) -> None:
        self.path = path
        self._rng = rng or np.random.default_rng(0)

    @asynccontextmanager
    async def to(self, target_port: int) -> AsyncIterator[int]:
        """Relays a new port on loopback to `target_port`.

        Yields:
            The new port.
        """

        async def relay(client: SocketStream) -> None:
            async with client:
                with suppress(OSError):
                    server = await anyio.connect_tcp("127.0.0.1", target_port)
                    async with server, anyio.create_task_group() as both:
                        both.start_soon(self._relay, client, server)
                        both.start_soon(self._relay, server, client)

        async with anyio.create_task_group() as tasks:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            tasks.start_soon(listener.serve, relay)
            yield int(listener.extra(SocketAttribute.local_port))
            tasks.cancel_scope.cancel()

    async def _relay(self, source: SocketStream, sink: SocketStream) -> None:
        delayed, due = anyio.create_memory_object_stream[tuple[float, bytes]](1000)
        async with anyio.create_task_group() as tasks, delayed:
            tasks.start_soon(_deliver, due, sink)
            idle_at = 0.0
            try:
                while data := await source.receive(CHUNK_BYTES):
                    idle_at = max(idle_at, time.monotonic()) + len(data) * 8e-6 / self.path.mbps
                    idle_at += self._retransmission_s(len(data))
                    await delayed.send((idle_at + self._delay_s(), data))
            except DISCONNECTED:
                delayed.close()

    def _delay_s(self) -> float:
        path = self.path
        deviation_ms = path.jitter_ms / 2 * float(self._rng.standard_normal()) if path.jitter_ms else 0.0
        return max(0.0, path.rtt_ms / 2 + deviation_ms) / 1e3

    def _retransmission_s(self, size: int) -> float:
        """Draws whether a segment of `size` bytes is lost, and returns the time of its retransmission."""
        segments = -(-size // SEGMENT_BYTES)
        if not self.path.loss or self._rng.random() >= 1 - (1 - self.path.loss) ** segments:
            return 0.0
        return RETRANSMISSION_TIMEOUT_S + self.path.rtt_ms / 1e3


async def _deliver(due: MemoryObjectReceiveStream[tuple[float, bytes]], sink: SocketStream) -> None:
    with suppress(*DISCONNECTED):
        async for at, data in due:
            await anyio.sleep(max(0.0, at - time.monotonic()))
            await sink.send(data)
        await sink.send_eof()
