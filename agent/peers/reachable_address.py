"""Chooses one of the addresses at which a peer announces itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import anyio

from inarvl.network_interfaces import NetworkInterface, network_interfaces

CONNECT_S = 1.0
MAX_TRIED = 8


def likeliest_first(addresses: Iterable[str]) -> list[str]:
    """Returns the addresses, at most MAX_TRIED, in the order in which they are likely to reach the peer."""
    interfaces = network_interfaces()
    return sorted(addresses, key=lambda address: _distance(address, interfaces))[:MAX_TRIED]


async def first_reachable(addresses: Sequence[str], port: int) -> str:
    """Returns the first of the addresses that accepts a connection; if none does, the first one."""
    for address in addresses if len(addresses) > 1 else ():
        with anyio.move_on_after(CONNECT_S):
            try:
                connection = await anyio.connect_tcp(address, port)
            except OSError:
                continue
            await connection.aclose()
            return address
    return addresses[0]


def _distance(address: str, interfaces: Sequence[NetworkInterface]) -> int:
    """Returns how unlikely it is that `address` is the best way to the peer.

    An address that this machine has too is seldom the peer's: container bridges have the same one on many
    machines.
    """
    ip = ip_address(address.partition("%")[0])
    own = [own for interface in interfaces for own in interface.addresses]
    if any(ip == other.ip for other in own):
        return 5
    if ip.is_link_local:
        return 4
    near = any(ip in other.network for other in own if other.version == ip.version)
    return (1 if near else 2) + (ip.version == 6 and not near)
