"""Follows the services that announce themselves by zeroconf: which peer is behind each.

1. If a service's details cannot be resolved, they are requested again after a growing pause, because packets
   can be lost.
2. The number of services that are followed is limited. A new one takes the place of one that cannot be
   resolved, or else of the oldest one that nobody expects. AT_ONCE are resolved at the same time, in turn.
3. Only a peer that may be contacted is connected to, to find which of its addresses can be reached, and only
   its name is looked up. When it is decided anew which may be, all services are resolved again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from zeroconf import (  # type: ignore[attr-defined] # DNSPointer is exported, though not by name
    BadTypeInNameException,
    DNSPointer,
)
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from agent.peers.reachable_address import first_reachable, likeliest_first
from cloud.peer import SERVICE, BadPeerRecord, PeerRecord
from inarvl.door import Door
from vlm.connection import AddressCheck

RESOLVE_MS = 3000
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
MAX_FOLLOWED = 1024
AT_ONCE = 32
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")

Found = Callable[[PeerRecord], None]
Gone = Callable[[PeerRecord], None]


@dataclass(frozen=True)
class Policy:
    """What may be done about the peers that announce themselves.

    Attributes:
        may_contact: whether a peer may be connected to, and its name looked up.
        is_expected: whether strangers do not take the place of a peer.
        address_problem: why an address is not used.
        changed: returns the event that is set when `may_contact` has changed.
    """

    may_contact: Callable[[PeerRecord], bool] = lambda _record: False
    is_expected: Callable[[PeerRecord], bool] = lambda _record: False
    address_problem: AddressCheck = lambda _address, _port: None
    changed: Callable[[], anyio.Event] = anyio.Event


@dataclass
class _Resolution:
    """A service whose details are requested."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    failures: int = 0


class AnnouncedServices:
    """Follows the announced services, and the peer of each."""

    def __init__(
        self,
        network: AsyncZeroconf,
        tasks: TaskGroup,
        found: Found,
        gone: Gone,
        door: Door,
        policy: Policy,
    ) -> None:
        self._network = network
        self._tasks = tasks
        self._found = found
        self._gone = gone
        self._door = door
        self._policy = policy
        self._turns = anyio.Semaphore(AT_ONCE)
        self._known: dict[str, PeerRecord] = {}  # the newest last
        self._resolving: dict[str, _Resolution] = {}

    def follow(self, name: str) -> None:
        """Resolves a service that is new or has changed, and reports its peer."""
        if (previous := self._resolving.pop(name, None)) is not None:
            previous.scope.cancel()
        elif name not in self._known and len(self._known.keys() | self._resolving.keys()) >= MAX_FOLLOWED:
            self.removed(self._least_wanted(), self._gone)
        self._resolving[name] = resolution = _Resolution()
        self._tasks.start_soon(self._resolve, name, resolution)

    async def follow_trust(self) -> None:
        """Resolves all services again whenever it was decided anew which may be contacted."""
        while True:
            await self._policy.changed().wait()
            for record in self._network.zeroconf.cache.entries_with_name(SERVICE):
                if isinstance(record, DNSPointer):
                    with self._door.guard(record.alias):
                        self.follow(record.alias)

    def removed(self, name: str, report: Gone) -> None:
        """Stops following a service; reports its peer if no other service announces that peer."""
        if (resolution := self._resolving.pop(name, None)) is not None:
            resolution.scope.cancel()
        record = self._known.pop(name, None)
        if record is not None:
            self._left(record, report)

    def _left(self, record: PeerRecord, report: Gone) -> None:
        if all((other.id, other.url) != (record.id, record.url) for other in self._known.values()):
            report(record)

    def _least_wanted(self) -> str:
        """Returns the service that gives its place to a new one.

        Raises:
            BadPeerRecord: all others are expected, or were just found.
        """
        failing = {name: one.failures for name, one in self._resolving.items() if one.failures}
        if failing:
            return max(failing, key=lambda name: failing[name])
        strangers = [name for name, record in self._known.items() if not self._policy.is_expected(record)]
        refused = [name for name in strangers if not self._policy.may_contact(self._known[name])]
        if not strangers:
            raise BadPeerRecord(f"{MAX_FOLLOWED} services are followed already")
        return (refused or strangers)[0]

    async def _resolve(self, name: str, resolution: _Resolution) -> None:
        record = None
        with resolution.scope, self._door.guard(name):
            record = await self._resolved(name, resolution)
        if self._resolving.get(name) is not resolution:  # a newer task resolves it, or it was removed
            return
        del self._resolving[name]
        with self._door.guard(name):
            if record is None:
                self.removed(name, self._gone)
                return
            before = self._known.pop(name, None)
            self._known[name] = record
            self._found(record)
            if before is not None:
                self._left(before, self._gone)

    async def _resolved(self, name: str, resolution: _Resolution) -> PeerRecord:
        pause_s = FIRST_PAUSE_S
        while True:
            async with self._turns:
                record = await resolve(self._network, name, self._policy)
            if record is not None:
                return record
            resolution.failures += 1
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)


async def resolve(network: AsyncZeroconf, name: str, policy: Policy) -> PeerRecord | None:
    """Returns the peer of a service; None if its details did not arrive in time or lack an address.

    Raises:
        BadPeerRecord: the details are invalid, or all its addresses are refused.
    """
    try:
        info = AsyncServiceInfo(SERVICE, name)
    except BadTypeInNameException:
        raise BadPeerRecord(f"it is no service of {SERVICE}") from None
    if not await info.async_request(network.zeroconf, RESOLVE_MS) or info.port is None:
        return None
    port, announced = info.port, info.parsed_scoped_addresses()
    problems = {address: policy.address_problem(address, port) for address in announced}
    addresses = likeliest_first(address for address, problem in problems.items() if problem is None)
    if not addresses:
        if problems:
            raise BadPeerRecord(f"its URL {next(iter(problems.values()))}")
        return None
    txt = {key: value or "" for key, value in info.decoded_properties.items()}
    record = PeerRecord.from_txt(txt, addresses[0], port)
    if not policy.may_contact(record):
        return record
    host = txt.get("host", "")
    named = await _addresses_of(host, port, policy)
    reached = await first_reachable([*named[:1], *addresses], port)
    return PeerRecord.from_txt(txt, host if reached in named else reached, port)


async def _addresses_of(host: str, port: int, policy: Policy) -> list[str]:
    """Returns the addresses of a name; none if this machine cannot resolve it, or one is refused."""
    if not HOST_NAME.fullmatch(host):
        return []
    try:
        found = [str(entry[4][0]) for entry in await anyio.getaddrinfo(host, port)]
    except OSError:
        return []
    return found if all(policy.address_problem(address, port) is None for address in found) else []
