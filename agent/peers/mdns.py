"""Finds peers that announce themselves on the local network by zeroconf (mDNS).

1. A goodbye packet withdraws a peer immediately. An announcement that expires, as happens if multicast stops
   working, lets the peer lapse: it stays as long as it still answers.
2. If a service's details cannot be resolved, they are requested again after a growing pause, because packets
   can be lost.
3. The number of services that are followed is limited.
4. The interfaces are compared every RESCAN_S. When one appears, changes or comes up, multicast groups are
   joined there, and all peers are asked to announce themselves again.
5. An invalid announcement is logged and ignored.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup
from zeroconf import (  # type: ignore[attr-defined] # DNSPointer is exported, though not by name
    BadTypeInNameException,
    DNSPointer,
    IPVersion,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from agent.peers.reachable_address import reachable_address
from cloud.peer import SERVICE, BadPeerRecord, PeerRecord
from inarvl.door import Door
from inarvl.network_interfaces import network_interfaces

log = logging.getLogger(__name__)

SOURCE = "zeroconf"
RESOLVE_MS = 3000
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
MAX_FOLLOWED = 128
RESCAN_S = 5.0
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")
MAX_GOODBYES = 1024

Found = Callable[[PeerRecord], None]
Gone = Callable[[str], None]


async def browse(
    found: Found,
    gone: Gone,
    lapsed: Gone | None = None,
    *,
    network: AsyncZeroconf | None = None,
    door: Door | None = None,
) -> None:
    """Reports every peer that appears, changes or leaves, until cancelled.

    Args:
        found: called with the record of a new or changed peer.
        gone: called with the peer's id after a goodbye packet.
        lapsed: called with the peer's id when its announcement expired; `gone` if omitted.
        network: the zeroconf instance, which is closed at the end; created if omitted.
        door: guards the announcements; created if omitted.
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
        services = _Services(network, tasks, found, gone, guarding)
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


async def listen(seconds: float) -> dict[str, PeerRecord]:
    """Returns the peers found within `seconds`, by id."""
    records: dict[str, PeerRecord] = {}
    with anyio.move_on_after(seconds):
        await browse(lambda record: records.update({record.id: record}), lambda _id: None)
    return records


class _Services:
    """Follows the announced services, and the peer of each."""

    def __init__(
        self, network: AsyncZeroconf, tasks: TaskGroup, found: Found, gone: Gone, door: Door
    ) -> None:
        self._network = network
        self._tasks = tasks
        self._found = found
        self._gone = gone
        self._door = door
        self._known: dict[str, str] = {}
        self._resolving: dict[str, anyio.CancelScope] = {}

    def follow(self, name: str) -> None:
        """Resolves a service that is new or has changed, and reports its peer."""
        if (previous := self._resolving.pop(name, None)) is not None:
            previous.cancel()
        if name not in self._known and len(self._known) + len(self._resolving) >= MAX_FOLLOWED:
            raise BadPeerRecord(f"{MAX_FOLLOWED} services are followed already")
        self._resolving[name] = scope = anyio.CancelScope()
        self._tasks.start_soon(self._resolve, name, scope)

    def removed(self, name: str, report: Gone) -> None:
        """Stops following a service; reports its peer if no other service announces that peer."""
        if (scope := self._resolving.pop(name, None)) is not None:
            scope.cancel()
        peer_id = self._known.pop(name, None)
        if peer_id is not None and peer_id not in self._known.values():
            report(peer_id)

    async def _resolve(self, name: str, scope: anyio.CancelScope) -> None:
        record = None
        with scope, self._door.guard(name):
            record = await self._resolved(name)
        if self._resolving.get(name) is not scope:  # a newer task resolves it, or it was removed
            return
        del self._resolving[name]
        with self._door.guard(name):
            if record is None or self._known.get(name) != record.id:
                self.removed(name, self._gone)
            if record is not None:
                self._known[name] = record.id
                self._found(record)

    async def _resolved(self, name: str) -> PeerRecord:
        pause_s = FIRST_PAUSE_S
        while (record := await _resolve(self._network, name)) is None:
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
        return record


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


async def _resolve(network: AsyncZeroconf, name: str) -> PeerRecord | None:
    """Returns the peer of a service; None if its details did not arrive in time or lack an address.

    Raises:
        BadPeerRecord: the details are invalid.
    """
    try:
        info = AsyncServiceInfo(SERVICE, name)
    except BadTypeInNameException:
        raise BadPeerRecord(f"it is no service of {SERVICE}") from None
    if not await info.async_request(network.zeroconf, RESOLVE_MS) or info.port is None:
        return None
    txt = {key: value or "" for key, value in info.decoded_properties.items()}
    names = [txt["host"]] if await _is_known_name(txt.get("host", "")) else []
    address = await reachable_address([*names, *info.parsed_scoped_addresses()], info.port)
    return None if address is None else PeerRecord.from_txt(txt, address, info.port)


async def _is_known_name(host: str) -> bool:
    """Returns whether `host` is a name that this machine can resolve."""
    if not HOST_NAME.fullmatch(host):
        return False
    try:
        return bool(await anyio.getaddrinfo(host, None))
    except OSError:
        return False
