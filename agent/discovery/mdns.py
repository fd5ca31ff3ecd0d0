"""Peers that announce themselves on the local network."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from cloud.peer import SERVICE, BadPeerRecord, PeerRecord

log = logging.getLogger(__name__)

SOURCE = "zeroconf"
RESOLVE_MS = 3000

Found = Callable[[PeerRecord], None]
Gone = Callable[[str], None]


async def browse(found: Found, gone: Gone, *, interfaces: list[str] | None = None) -> None:
    """Tell of every peer that appears, changes or leaves, for as long as this runs.

    `gone` is called with the id under which `found` was called.
    """
    changes, changed = anyio.create_memory_object_stream[tuple[str, ServiceStateChange]](1024)

    def note(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        try:
            changes.send_nowait((name, state_change))
        except anyio.WouldBlock:
            log.warning("too many zeroconf announcements at once: dropped that of %s", name[:80])

    known: dict[str, str] = {}
    network = AsyncZeroconf(interfaces=interfaces) if interfaces else AsyncZeroconf()
    async with network, AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[note]):
        async for name, change in changed:
            record = None
            if change is not ServiceStateChange.Removed:
                record = await _resolve(network, name)
            previous = known.pop(name, None)
            if record is not None:
                known[name] = record.id
                found(record)
            if previous is not None and previous not in known.values():
                gone(previous)


async def _resolve(network: AsyncZeroconf, name: str) -> PeerRecord | None:
    info = AsyncServiceInfo(SERVICE, name)
    if not await info.async_request(network.zeroconf, RESOLVE_MS) or info.port is None:
        return None
    addresses = info.parsed_scoped_addresses(IPVersion.V4Only) or info.parsed_scoped_addresses()
    if not addresses:
        return None
    txt = {key: value or "" for key, value in info.decoded_properties.items()}
    try:
        return PeerRecord.from_txt(txt, addresses[0], info.port)
    except BadPeerRecord as error:
        log.warning("ignoring %s on the local network: %s", name[:80], error)
        return None
