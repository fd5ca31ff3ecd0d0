"""Emulates a link between two TUN devices, such as `tc netem` does: delay, jitter, loss, rate and outages.

Usage: `python -m lab.rig.faults.link_emulator NEAR FAR SEED`. Each line of standard input is a JSON object
with fields of `LinkConditions` to change. The emulator is a separate process, so that a busy caller does not
delay packets.
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
MAX_QUEUED = 2000  # packets per direction; more are dropped, as in a router
TCP = 6


@dataclass(frozen=True)
class LinkConditions:
    """Conditions of the link, equal in both directions.

    Attributes:
        delay_ms: One way.
        jitter_ms: Standard deviation of the delay; packets keep their order.
        loss: Share of packets that are dropped.
        mbps: Rate of each direction; None for no limit.
        up: Whether any packet passes.
        multicast: Whether multicast packets pass, which mDNS needs and many access points drop.
        frozen: Packets of the present TCP connections are dropped, as if the other host had vanished; new
            connections work.
    """

    delay_ms: float = 1.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    mbps: float | None = None
    up: bool = True
    multicast: bool = True
    frozen: bool = False


class LinkEmulator:
    """Carries packets between two TUN file descriptors."""

    def __init__(self, ends: tuple[int, int], rng: np.random.Generator) -> None:
        self.conditions = LinkConditions()
        self._ends = ends
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._queues: dict[int, deque[tuple[float, bytes]]] = {end: deque() for end in ends}
        self._idle_at = dict.fromkeys(ends, 0.0)
        self._last_due = dict.fromkeys(ends, 0.0)
        self._flows: set[bytes] = set()
        self._frozen_flows: frozenset[bytes] = frozenset()

    def start(self) -> None:
        """Starts to carry packets."""
        near, far = self._ends
        self._loop.add_reader(near, self._receive, near, far)
        self._loop.add_reader(far, self._receive, far, near)

    def set(self, **fields: object) -> None:
        """Changes some of the conditions."""
        before = self.conditions
        self.conditions = replace(before, **fields)  # type: ignore[arg-type]
        if self.conditions.frozen and not before.frozen:
            self._frozen_flows = frozenset(self._flows)
        if not self.conditions.frozen:
            self._frozen_flows = frozenset()

    def _receive(self, source: int, sink: int) -> None:
        try:
            packet = os.read(source, MTU + 100)
        except BlockingIOError:  # the selector woke without a packet
            return
        now, link = self._loop.time(), self.conditions
        flow = flow_of(packet)
        if flow is not None:
            self._flows.add(flow)
        blocked = not link.up or (not link.multicast and is_multicast(packet)) or flow in self._frozen_flows
        queue = self._queues[sink]
        if blocked or self._rng.random() < link.loss or len(queue) >= MAX_QUEUED:
            return
        sent_at = max(now, self._idle_at[sink])
        if link.mbps is not None:
            sent_at += len(packet) * 8e-6 / link.mbps
        self._idle_at[sink] = sent_at
        delay_s = max(0.0, link.delay_ms + link.jitter_ms * self._rng.standard_normal()) / 1e3
        self._last_due[sink] = due = max(self._last_due[sink], sent_at + delay_s)
        queue.append((due, packet))
        if len(queue) == 1:
            self._loop.call_at(due, self._deliver, sink)

    def _deliver(self, sink: int) -> None:
        queue = self._queues[sink]
        while queue and queue[0][0] <= self._loop.time():
            _, packet = queue.popleft()
            if self.conditions.up:
                with suppress(OSError):  # the device is not up
                    os.write(sink, packet)
        if queue:
            self._loop.call_at(queue[0][0], self._deliver, sink)


def open_tun(name: str) -> int:
    """Creates a TUN device, which needs root, and returns its file descriptor."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


def is_multicast(packet: bytes) -> bool:
    """Returns whether an IPv4 or IPv6 packet has a multicast destination."""
    version = packet[0] >> 4 if packet else 0
    destination = {4: 16, 6: 24}.get(version, len(packet))
    first = packet[destination : destination + 1]
    return first == b"\xff" if version == 6 else b"\xe0" <= first <= b"\xef"


def flow_of(packet: bytes) -> bytes | None:
    """Returns addresses and ports of a TCP packet over IPv4, equal for both directions; None for others."""
    if len(packet) < 24 or packet[0] >> 4 != 4 or packet[9] != TCP:
        return None
    header = 4 * (packet[0] & 15)
    source = packet[12:16] + packet[header : header + 2]
    destination = packet[16:20] + packet[header + 2 : header + 4]
    return min(source, destination) + max(source, destination)


async def main(names: tuple[str, str], seed: int) -> None:
    """Creates the devices, prints "up", and carries packets until standard input ends."""
    emulator = LinkEmulator((open_tun(names[0]), open_tun(names[1])), np.random.default_rng(seed))
    emulator.start()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    os.write(1, b"up\n")
    while line := await commands.readline():
        emulator.set(**json.loads(line))
        os.write(1, b"ok\n")


if __name__ == "__main__":
    asyncio.run(main((sys.argv[1], sys.argv[2]), int(sys.argv[3])))
