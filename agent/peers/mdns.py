"""Peers that announce themselves on the local network.

1. A goodbye withdraws a peer at once. An announcement that only ran out, as it does where multicast no longer
   gets through, lets it lapse: whoever still answers stays.
2. A service whose details cannot be had is asked for again, ever less often: packets get lost.
3. How many services are followed is capped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup
from zeroconf import (  # type: ignore[attr-defined] # DNSPointer is exported, though not by name
    DNSPointer,
    IPVersion,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from cloud.peer import SERVICE, BadPeerRecord, PeerRecord

log = logging.getLogger(__name__)

SOURCE = "zeroconf"
RESOLVE_MS = 3000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MOST_FOLLOWED = 128

Found = Callable[[PeerRecord], None]
Told = Callable[[str], None]


async def browse(
    found: Found, gone: Told, lapsed: Told | None = None, *, network: AsyncZeroconf | None = None
) -> None:
    """Tell of every peer that appears, changes or leaves, for as long as this runs.

    `gone`, after a goodbye, and `lapsed`, when nothing was heard for too long, are called with the id under
    which `found` was called; `gone` stands in where there is no `lapsed`.
    """
    changes, changed = anyio.create_memory_object_stream[tuple[str, ServiceStateChange]](1024)

    def note(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        try:
            changes.send_nowait((name, state_change))
        except anyio.WouldBlock:
            log.warning("too many zeroconf announcements at once: dropped that of %s", name[:80])

    network = network or AsyncZeroconf()
    goodbyes = _Goodbyes()
    network.zeroconf.add_listener(goodbyes, None)
    async with (
        network,
        AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[note]),
        anyio.create_task_group() as tasks,
    ):
        services = _Services(network, tasks, found, gone)
        async for name, change in changed:
            if change is ServiceStateChange.Removed:
                services.removed(name, gone if lapsed is None or goodbyes.said(name) else lapsed)
            else:
                services.follow(name)


class _Services:
    """The services that are announced, and which peer each is."""

    def __init__(self, network: AsyncZeroconf, tasks: TaskGroup, found: Found, gone: Told) -> None:
        self._network = network
        self._tasks = tasks
        self._found = found
        self._gone = gone
        self._known: dict[str, str] = {}
        self._sought: dict[str, anyio.CancelScope] = {}

    def follow(self, name: str) -> None:
        """Find out who is behind a service that is new or has changed, and tell."""
        if (sought := self._sought.pop(name, None)) is not None:
            sought.cancel()
        if name not in self._known and len(self._known) + len(self._sought) >= MOST_FOLLOWED:
            log.warning("zeroconf service %s is left alone: %d are known", name[:80], MOST_FOLLOWED)
            return
        self._sought[name] = scope = anyio.CancelScope()
        self._tasks.start_soon(self._seek, name, scope)

    def removed(self, name: str, tell: Told) -> None:
        """A service is announced no more."""
        if (sought := self._sought.pop(name, None)) is not None:
            sought.cancel()
        peer_id = self._known.pop(name, None)
        if peer_id is not None and peer_id not in self._known.values():
            tell(peer_id)

    async def _seek(self, name: str, scope: anyio.CancelScope) -> None:
        record = None
        with scope:
            try:
                record = await self._resolved(name)
            except BadPeerRecord as error:
                log.warning("ignoring %s on the local network: %s", name[:80], error)
        if self._sought.get(name) is not scope:  # somebody else seeks it by now, or it is gone
            return
        del self._sought[name]
        if record is None or self._known.get(name) != record.id:
            self.removed(name, self._gone)
        if record is not None:
            self._known[name] = record.id
            self._found(record)

    async def _resolved(self, name: str) -> PeerRecord:
        pause_s = FIRST_PAUSE_S
        while (record := await _resolve(self._network, name)) is None:
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return record


class _Goodbyes(RecordUpdateListener):
    """Notes which services said that they leave: their pointer came with no time to live."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for record in (update.new for update in records):
            if isinstance(record, DNSPointer) and record.name == SERVICE:
                (self._names.discard if record.ttl else self._names.add)(record.alias)

    def said(self, name: str) -> bool:
        """Whether `name` said goodbye; asked once."""
        said = name in self._names
        self._names.discard(name)
        return said


async def _resolve(network: AsyncZeroconf, name: str) -> PeerRecord | None:
    """Who is behind a service; None when nobody says.

    Raises:
        BadPeerRecord: what is said breaks the rules.
    """
    info = AsyncServiceInfo(SERVICE, name)
    if not await info.async_request(network.zeroconf, RESOLVE_MS) or info.port is None:
        return None
    addresses = info.parsed_scoped_addresses(IPVersion.V4Only) or info.parsed_scoped_addresses()
    if not addresses:
        return None
    txt = {key: value or "" for key, value in info.decoded_properties.items()}
    return PeerRecord.from_txt(txt, addresses[0], info.port)
