"""Announces a service by zeroconf on each network interface, with that interface's own addresses.

1. Each interface has a zeroconf instance of its own, so that a device is never given an address that belongs
   to another network, such as that of a container bridge.
2. Interfaces and addresses that appear, change or vanish are noticed every RESCAN_S.
3. A loopback address is announced on the loopback interface only.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from inarvl.network_interfaces import Address, NetworkInterface, network_interfaces

log = logging.getLogger(__name__)

RESCAN_S = 5.0


@dataclass(frozen=True)
class Announcement:
    """What is announced on one interface.

    Attributes:
        senders: addresses of the interface to send from, at most one of each IP version.
        addresses: where the service is reached.
    """

    senders: tuple[str, ...]
    addresses: tuple[str, ...]


class LanAnnouncer:
    """Announces one service until it is closed.

    Args:
        info: creates the service with the given addresses.
        reached_at: returns the addresses to announce on an interface; none to announce nothing there.
    """

    def __init__(
        self,
        info: Callable[[Sequence[str]], AsyncServiceInfo],
        reached_at: Callable[[NetworkInterface], Sequence[str]],
    ) -> None:
        self._info = info
        self._reached_at = reached_at
        self._running: dict[str, tuple[Announcement, AsyncZeroconf]] = {}

    async def follow(self) -> None:
        """Announces on the interfaces that there are, until cancelled."""
        while True:
            try:
                await self.update()
            except (OSError, RuntimeError) as error:  # such as too many open files: the next scan tries again
                log.warning("cannot follow the network interfaces now: %s", error)
            await asyncio.sleep(RESCAN_S)

    async def update(self) -> None:
        """Announces on the interfaces that there are now."""
        wanted = self._wanted()
        for name in [name for name, (running, _) in self._running.items() if wanted.get(name) != running]:
            await self._stop(name)
        for name, (_, network) in self._running.items():  # a new IPv6 address is not usable yet
            await network.async_update_interfaces()
            _hear_only(name, network)
        new = [name for name in wanted if name not in self._running]
        await asyncio.gather(*(self._start(name, wanted[name]) for name in new))

    async def close(self) -> None:
        """Withdraws all announcements."""
        for name in list(self._running):
            await self._stop(name)

    def _wanted(self) -> Mapping[str, Announcement]:
        wanted = {}
        for interface in network_interfaces():
            addresses = tuple(self._reached_at(interface))
            if addresses:
                wanted[interface.name] = Announcement(_senders(interface.addresses), addresses)
        return wanted

    async def _start(self, name: str, announcement: Announcement) -> None:
        try:
            network = AsyncZeroconf(interfaces=list(announcement.senders))
        except (OSError, RuntimeError) as error:  # the interface has just changed: the next scan tries again
            log.warning("cannot announce on %s yet: %s", name, error)
            return
        self._running[name] = announcement, network
        await network.zeroconf.async_wait_for_start()
        _hear_only(name, network)
        info = self._info(announcement.addresses)
        await (await network.async_register_service(info, allow_name_change=True))
        log.info("announced on %s as %s at %s", name, info.name, ", ".join(announcement.addresses))

    async def _stop(self, name: str) -> None:
        _, network = self._running.pop(name)
        with suppress(OSError):
            await network.async_unregister_all_services()
        await network.async_close()


def _senders(addresses: Sequence[Address]) -> tuple[str, ...]:
    """Returns the first address of each IP version, for IPv6 the link-local one if there is one."""
    fourth = [address.ip for address in addresses if isinstance(address, IPv4Interface)]
    sixth = [address.ip for address in addresses if isinstance(address, IPv6Interface)]
    sixth.sort(key=lambda ip: not ip.is_link_local)
    return (*map(str, fourth[:1]), *map(str, sixth[:1]))


def _hear_only(name: str, network: AsyncZeroconf) -> None:
    """Binds the sockets to one interface.

    Linux passes multicast packets of one interface to sockets that have joined the group on another. The
    instance would answer them with addresses that belong to the other network.
    """
    for reader in network.zeroconf.engine.readers:
        connection = reader.transport.get_extra_info("socket")
        with suppress(PermissionError):  # Linux before 5.7 requires a capability for this
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\0")
