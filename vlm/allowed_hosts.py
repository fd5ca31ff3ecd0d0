"""The names and addresses under which clients may reach a server.

A web page can point its own name at an address of this network (DNS rebinding). The browser of a person on
this network then sends the page's requests here, and lets the page read the replies. The header `Host` has
the name that the client used, so a server answers only under its own names and addresses.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from inarvl.network_interfaces import own_addresses

IPAddress = IPv4Address | IPv6Address
HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\])(?::[0-9]{0,5})?")
RESCAN_S = 5.0


class AllowedHosts:
    """Loopback, this machine's own names and addresses, and further ones.

    Args:
        further: such as the address that the server listens on, and its names in DNS; with or without a port.
        own: returns the addresses of this machine.

    Raises:
        ValueError: one of `further` is neither a host name nor an address.
    """

    def __init__(
        self,
        further: Iterable[str] = (),
        *,
        own: Callable[[], frozenset[IPAddress]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = own or own_addresses
        self._clock = clock
        hostname = socket.gethostname().lower()
        short = hostname.partition(".")[0]
        self._names: set[str | IPAddress] = {"localhost", hostname, short, f"{short}.local"}
        for host in further:
            name = read_host(host)
            if isinstance(name, str) or not name.is_unspecified:
                self._names.add(name)
        self._addresses: frozenset[IPAddress] = frozenset()
        self._scanned_at: float | None = None

    def allow(self, headers: Sequence[str]) -> bool:
        """Returns whether a request with these values of the header `Host` is for this server."""
        return bool(headers) and all(map(self._allow, headers))

    def _allow(self, header: str) -> bool:
        host = host_of(header)
        if host is None or host in self._names:
            return host is not None
        if isinstance(host, str):
            return host.endswith(".localhost")
        return host.is_loopback or host in self._addresses or host in self._scanned()

    def _scanned(self) -> frozenset[IPAddress]:
        now = self._clock()
        if self._scanned_at is None or now - self._scanned_at > RESCAN_S:
            self._scanned_at = now
            with suppress(OSError):  # such as too many open files: the next scan finds them
                self._addresses = self._own()
        return self._addresses


def host_of(header: str) -> str | IPAddress | None:
    """Returns the name, in lower case, or the address in `host` or `host:port`; None if it is neither."""
    found = HOST.fullmatch(header)
    if found is None:
        return None
    name = found["name"].strip("[]").partition("%")[0]
    try:
        address = ip_address(name)
    except ValueError:
        return None if found["name"].startswith("[") else name.lower().removesuffix(".")
    return getattr(address, "ipv4_mapped", None) or address


def read_host(text: str) -> str | IPAddress:
    """Returns the name or address in an option or setting, with or without a port.

    Raises:
        ValueError: it is neither.
    """
    is_bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    host = host_of(f"[{text}]" if is_bare_ipv6 else text)
    if host is None:
        raise ValueError(f"{text[:100]!r} is neither a host name nor an address")
    return host
