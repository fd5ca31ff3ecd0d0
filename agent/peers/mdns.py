"""Finds peers that announce themselves on the local network by zeroconf (mDNS).

1. A goodbye packet withdraws a peer immediately. An announcement that expires, as happens if multicast stops
   working, lets the peer lapse: it stays as long as it still answers.
2. The interfaces are compared every RESCAN_S. When one appears, changes or comes up, multicast groups are
   joined there, and all peers are asked to announce themselves again.
3. An invalid announcement is logged and ignored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
from zeroconf import (  # type: ignore[attr-defined] # DNSPointer is exported, though not by name
    DNSPointer,
    IPVersion,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

from agent.peers.announced_services import AnnouncedServices, Found, Gone, Policy
from cloud.peer import SERVICE, PeerRecord
from inarvl.door import Door
from inarvl.network_interfaces import network_interfaces

log = logging.getLogger(__name__)

SOURCE = "zeroconf"
RESCAN_S = 5.0
MAX_GOODBYES = 1024


async def browse(
    found: Found,
    gone: Gone,
    lapsed: Gone | None = None,
    *,
    network: AsyncZeroconf | None = None,
    door: Door | None = None,
    policy: Policy | None = None,
) -> None:
    """Reports every peer that appears, changes or leaves, until cancelled.

    Args:
        found: called with the record of a new or changed peer.
        gone: called with the peer's record after a goodbye packet.
        lapsed: called with the peer's record when its announcement expired; `gone` if omitted.
        network: the zeroconf instance, which is closed at the end; created if omitted.
        door: guards the announcements; created if omitted.
        policy: by default no peer is contacted.
    """
    guarding = door or Door("zeroconf announcements")
    changes, changed = anyio.create_memory_object_stream[tuple[str, ServiceStateChange]](1024)

    def enqueue(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        try:
            changes.send_nowait((name, state_change))
        except anyio.WouldBlock:
            guarding.drop(name, "too many announcements at once")

    network = network or await _opened()
    goodbyes = _Goodbyes()
    network.zeroconf.add_listener(goodbyes, None)
    async with network, anyio.create_task_group() as tasks:
        tasks.start_soon(_ask_on_all_interfaces, network, enqueue)
        services = AnnouncedServices(network, tasks, found, gone, guarding, policy or Policy())
        tasks.start_soon(services.follow_trust)
        async for name, change in changed:
            with guarding.guard(name):
                if change is ServiceStateChange.Removed:
                    services.removed(name, gone if lapsed is None or goodbyes.pop(name) else lapsed)
                else:
                    services.follow(name)


async def _opened() -> AsyncZeroconf:
    """Returns a zeroconf instance on all interfaces, with IPv6 if this machine has it."""
    while True:
        for version in (IPVersion.All, IPVersion.V4Only):
            try:
                return AsyncZeroconf(ip_version=version)
            except (OSError, RuntimeError) as error:  # such as no address yet
                log.debug("zeroconf cannot start: %s", error)
        await anyio.sleep(RESCAN_S)


async def _ask_on_all_interfaces(network: AsyncZeroconf, handle: Callable[..., None]) -> None:
    """Asks for peers, now and whenever the interfaces have changed, until cancelled."""
    browser, known = None, None
    try:
        while True:
            try:
                await network.async_update_interfaces()
                interfaces = network_interfaces()
            except (OSError, RuntimeError) as error:  # such as too many open files: the next scan tries again
                log.warning("cannot read the network interfaces now: %s", error)
                await anyio.sleep(RESCAN_S)
                continue
            joined = {str(sender.sock_name) for sender in network.zeroconf.engine.senders}
            if (interfaces, joined) != known:
                known = interfaces, joined
                if browser is not None:
                    await browser.async_cancel()
                browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[handle])
            await anyio.sleep(RESCAN_S)
    finally:
        if browser is not None:
            with anyio.CancelScope(shield=True):
                await browser.async_cancel()


async def listen(seconds: float, policy: Policy | None = None) -> tuple[PeerRecord, ...]:
    """Returns the peers found within `seconds`; several may have the same id."""
    records: dict[tuple[str, str], PeerRecord] = {}
    with anyio.move_on_after(seconds):
        await browse(
            lambda record: records.update({(record.id, record.url): record}),
            lambda _record: None,
            policy=policy,
        )
    return tuple(records.values())


class _Goodbyes(RecordUpdateListener):
    """Records which services sent a goodbye: a pointer record with a time to live of zero."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for record in (update.new for update in records):
            if not isinstance(record, DNSPointer) or record.name != SERVICE:
                continue
            if record.ttl:
                self._names.discard(record.alias)
            elif len(self._names) < MAX_GOODBYES:
                self._names.add(record.alias)

    def pop(self, name: str) -> bool:
        """Returns whether `name` sent a goodbye, and forgets it."""
        goodbye = name in self._names
        self._names.discard(name)
        return goodbye
