"""An emulated link: two TUN devices with this process as the wire between them.

Packets wait their delay, are lost at random, queue for the rate, or vanish. One JSON object a line on
standard input sets any of the fields of `Conditions`. Run as a process of its own, so that a busy harness
does not delay packets.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
MTU = 1500
MOST_WAITING = 2000  # packets in each direction; more are dropped, as a router would
TCP = 6


@dataclass(frozen=True)
class Conditions:
    """How the link is.

    Attributes:
        delay_ms: one way.
        jitter_ms: deviation of the delay; packets keep their order.
        loss: share of the packets that vanish.
        mbps: rate in each direction, None for no limit.
        up: whether anything passes.
        multicast: whether packets to groups pass, as mDNS needs it; many an access point drops them.
        frozen: TCP connections seen before pass nothing, as if the other end had vanished; new ones work.
    """

    delay_ms: float = 1.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    mbps: float | None = None
    up: bool = True
    multicast: bool = True
    frozen: bool = False


class Wire:
    """Carries packets between two TUN file descriptors."""

    def __init__(self, ends: tuple[int, int], rng: np.random.Generator) -> None:
        self.conditions = Conditions()
        self._ends = ends
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, deque[tuple[float, bytes]]] = {end: deque() for end in ends}
        self._free_at = dict.fromkeys(ends, 0.0)
        self._last_at = dict.fromkeys(ends, 0.0)
        self._seen: set[bytes] = set()
        self._frozen: frozenset[bytes] = frozenset()

    def start(self) -> None:
        """Carry from now on."""
        near, far = self._ends
        self._loop.add_reader(near, self._take, near, far)
        self._loop.add_reader(far, self._take, far, near)

    def set(self, **fields: object) -> None:
        """Change some of the conditions."""
        before = self.conditions
        self.conditions = replace(before, **fields)  # type: ignore[arg-type]
        if self.conditions.frozen and not before.frozen:
            self._frozen = frozenset(self._seen)
        if not self.conditions.frozen:
            self._frozen = frozenset()

    def _take(self, source: int, sink: int) -> None:
        packet = os.read(source, MTU + 100)
        now, link = self._loop.time(), self.conditions
        flow = _flow(packet)
        if flow is not None:
            self._seen.add(flow)
        silent = not link.multicast and _to_group(packet)
        lost = not link.up or silent or flow in self._frozen or self._rng.random() < link.loss
        waiting = self._waiting[sink]
        if lost or len(waiting) >= MOST_WAITING:
            return
        sent_at = max(now, self._free_at[sink])
        if link.mbps is not None:
            sent_at += len(packet) * 8e-6 / link.mbps
        self._free_at[sink] = sent_at
        delay_s = max(0.0, link.delay_ms + link.jitter_ms * self._rng.standard_normal()) / 1e3
        self._last_at[sink] = due = max(self._last_at[sink], sent_at + delay_s)
        waiting.append((due, packet))
        if len(waiting) == 1:
            self._loop.call_at(due, self._deliver, sink)

    def _deliver(self, sink: int) -> None:
        waiting = self._waiting[sink]
        while waiting and waiting[0][0] <= self._loop.time():
            _, packet = waiting.popleft()
            if self.conditions.up:
                with suppress(OSError):  # the device is not up
                    os.write(sink, packet)
        if waiting:
            self._loop.call_at(waiting[0][0], self._deliver, sink)


def open_tun(name: str) -> int:
    """A new TUN device of that name; needs root."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


def _to_group(packet: bytes) -> bool:
    """Whether a packet is for a multicast group, over IPv4 or IPv6."""
    version = packet[0] >> 4 if packet else 0
    at = {4: 16, 6: 24}.get(version, len(packet))
    first = packet[at : at + 1]
    return first == b"\xff" if version == 6 else b"\xe0" <= first <= b"\xef"


def _flow(packet: bytes) -> bytes | None:
    """Addresses and ports of a TCP packet over IPv4, the same in both directions."""
    if len(packet) < 24 or packet[0] >> 4 != 4 or packet[9] != TCP:
        return None
    header = 4 * (packet[0] & 15)
    one = packet[12:16] + packet[header : header + 2]
    other = packet[16:20] + packet[header + 2 : header + 4]
    return min(one, other) + max(one, other)


async def main(names: tuple[str, str], seed: int) -> None:
    """Make the devices, say so, and carry until standard input ends."""
    wire = Wire((open_tun(names[0]), open_tun(names[1])), np.random.default_rng(seed))
    wire.start()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    os.write(1, b"up\n")
    while line := await commands.readline():
        wire.set(**json.loads(line))
        os.write(1, b"ok\n")


if __name__ == "__main__":
    asyncio.run(main((sys.argv[1], sys.argv[2]), int(sys.argv[3])))
