"""The network interfaces of this machine, as multicast DNS needs them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address

import psutil

Address = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class NetworkInterface:
    """An interface that is up.

    Attributes:
        addresses: its own ones with their networks, IPv4 first; without scopes.
    """

    name: str
    addresses: tuple[Address, ...]

    @property
    def is_loopback(self) -> bool:
        """Whether it reaches this machine only."""
        return all(address.is_loopback for address in self.addresses)


def network_interfaces() -> tuple[NetworkInterface, ...]:
    """Returns the interfaces that are up and have an address, loopback too, by name."""
    states, found = psutil.net_if_stats(), []
    for name, entries in sorted(psutil.net_if_addrs().items()):
        addresses = [
            _address(entry.address, entry.netmask)
            for entry in sorted(entries, key=lambda entry: entry.family)
            if entry.family in (socket.AF_INET, socket.AF_INET6)
        ]
        if addresses and name in states and states[name].isup:
            found.append(NetworkInterface(name, tuple(addresses)))
    return tuple(found)


def own_addresses() -> frozenset[IPv4Address | IPv6Address]:
    """Returns the addresses of the interfaces that are up, loopback too."""
    return frozenset(address.ip for interface in network_interfaces() for address in interface.addresses)


def _address(text: str, mask: str | None) -> Address:
    address = ip_address(text.partition("%")[0])
    bits = bin(int(ip_address(mask))).count("1") if mask else address.max_prefixlen
    if address.version == 4:
        return IPv4Interface((address, bits))
    return IPv6Interface((address, bits))
