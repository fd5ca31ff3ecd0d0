"""Multicast DNS packets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from random import Random

import anyio
import anyio.lowlevel
from zeroconf import (  # type: ignore[attr-defined] # they are exported, though not by name
    DNSAddress,
    DNSOutgoing,
    DNSPointer,
    DNSService,
    DNSText,
)
from zeroconf.asyncio import AsyncZeroconf

from agent.peers import mdns
from cloud.peer import SERVICE, PeerRecord
from lab.rig.fuzz.fuzz_door import FuzzDoor, RaisingDoor, Use
from lab.rig.fuzz.mutation import Mutator

NAMES = ("p", "peer one", "x" * 63)
CLASS_IN, TTL_S = 1, 120


@cache
def _packet(name: str, alias: str, ttl_s: int) -> bytes:
    """Returns a response with all records of a service."""
    packet = DNSOutgoing(0x8400)
    full, host = f"{name}.{SERVICE}", f"{name}.local."
    txt = PeerRecord("p", "http://10.0.0.1:8020", ("small",)).to_txt()
    text = b"".join(bytes([len(pair)]) + pair for pair in (f"{k}={v}".encode() for k, v in txt.items()))
    for record in (
        DNSPointer(SERVICE, 12, CLASS_IN, ttl_s, alias or full),
        DNSService(full, 33, CLASS_IN, ttl_s, 0, 0, 8020, host),
        DNSText(full, 16, CLASS_IN, ttl_s, text),
        DNSAddress(host, 1, CLASS_IN, ttl_s, bytes((10, 0, 0, 1))),
    ):
        packet.add_answer_at_time(record, 0)
    return packet.packets()[0]


def make(mutator: Mutator, rng: Random) -> bytes:
    """Returns a packet with names of other types, goodbyes, and changed bytes."""
    alias = rng.choice(
        ("", "", f"q.{SERVICE}", "x._other._tcp.local.", "local.", "a b", "_inarvl._tcp.local.")
    )
    data = _packet(rng.choice(NAMES), alias, rng.choice((TTL_S, TTL_S, 0, 2**31)))
    return mutator.change_bytes(data) if rng.random() < 0.8 else data


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Passes packets to a zeroconf instance that the agent's discovery browses; it sends nothing."""
    network = AsyncZeroconf(interfaces=["127.0.0.1"])
    await network.zeroconf.async_wait_for_start()
    network.zeroconf.async_send = lambda *_args, **_options: None  # type: ignore[method-assign]
    protocol = network.zeroconf.engine.protocols[0]
    used, faults = 0, list[BaseException]()

    async def browse(ended: anyio.Event) -> None:
        door = RaisingDoor("zeroconf announcements")
        try:
            await mdns.browse(lambda _record: None, lambda _record: None, network=network, door=door)
        except Exception as error:
            faults.append(error)
        finally:
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(browse, anyio.Event()))
        await anyio.sleep(0.1)

        async def use(data: bytes) -> None:
            nonlocal used
            used += 1
            protocol.datagram_received(data, ("127.0.0.1", 5353))
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            if used % 2000 == 0:  # forget what the packets left
                cache = network.zeroconf.cache
                cache.async_expire(2.0**62)
            if faults:
                raise faults[0]

        yield use
        tasks.cancel_scope.cancel()


DOOR = FuzzDoor("mdns", make, opened)
