"""Checks the URLs and addresses that strangers announce, before anything is sent there.

A stranger could let the agent send requests to services that trust this machine or this network. So an
announced URL is `http(s)://host:port` and nothing more, and some addresses are refused: those of this machine
(unspecified, loopback), link-local and multicast ones, and those at which clouds serve their machines'
credentials. They are recognised in every form, also within an IPv6 address. A name is checked again by the
addresses that it resolves to, at every connection.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from inarvl.server_url import url_problem

SCHEMES = ("http", "https")
API_PATH = "/v1"  # which a URL may name or not
SITE_FILE_HINT = "name this server in the site file"
LOOPBACK_NAMES = {
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "ip6-localhost",
    "ip6-loopback",
}
METADATA_NAMES = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}
METADATA_ADDRESSES = {
    ip_address("169.254.169.254"),  # most clouds
    ip_address("fd00:ec2::254"),  # AWS
    ip_address("fd20:ce::254"),  # Google
    ip_address("100.100.100.200"),  # Alibaba
    ip_address("192.0.0.192"),  # Oracle
    ip_address("168.63.129.16"),  # Azure
}
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
EMBEDDING = (IPv6Network("::/96"), IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
IPAddress = IPv4Address | IPv6Address


def announced_url_problem(url: str, *, loopback: bool = False) -> str | None:
    """Returns why an announced URL is refused; None if it can be used.

    Args:
        loopback: whether addresses of the loopback interface are allowed.
    """
    problem = url_problem(url, SCHEMES)
    if problem is not None:
        return problem
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.path not in ("", API_PATH):
        return f"must not have a path: {SITE_FILE_HINT}"
    if parts.port is None:
        return "must have a port, such as http://host:8020"
    return host_problem(host, loopback=loopback)


def announced_url(url: str) -> str:
    """Returns a checked URL in the one form that all its spellings have."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    netloc = f"[{ip_address(host)}]" if ":" in host else host
    return f"{parts.scheme}://{netloc}:{parts.port}"


def host_problem(host: str, *, loopback: bool = False) -> str | None:
    """Returns why the host of an announced URL is refused; None if it can be used."""
    try:
        address = ip_address(host)
    except ValueError:
        return _name_problem(host.lower(), loopback)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return "must name an IPv4 address as such, not within an IPv6 address"
    return address_problem(address, loopback=loopback)


def address_problem(address: IPAddress, *, loopback: bool = False) -> str | None:
    """Returns why nothing is sent to an address that a stranger named; None if it can be used."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return f"must not name an interface, as {address} does"
    for one in (address, *_embedded(address)):
        kind = _refused_kind(one, loopback)
        if kind is not None:
            return f"must not have the address {address}, which is {kind}: {SITE_FILE_HINT} if it is right"
    return None


def _name_problem(name: str, loopback: bool) -> str | None:
    if not name.isascii():
        return "must have a host name in ASCII"
    if name.endswith("."):
        return "must have a host name without a dot at its end"
    labels = name.split(".")
    if NUMBER.fullmatch(labels[-1]):
        return "must name an IPv4 address by four decimal numbers"
    if (name in LOOPBACK_NAMES or labels[-1] == "localhost") and not loopback:
        return f"must not name this machine: {SITE_FILE_HINT} if it is right"
    if name in METADATA_NAMES or labels[0] == "instance-data":
        return "must not name a cloud's metadata service"
    return None


def _refused_kind(address: IPAddress, loopback: bool) -> str | None:
    if address in METADATA_ADDRESSES:
        return "a cloud's metadata service"
    if address.is_loopback:
        return None if loopback else "on this machine (loopback)"
    if address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0):
        return "unspecified"
    if address.is_link_local or getattr(address, "is_site_local", False):
        return "link-local"
    if address.is_multicast:
        return "multicast"
    if address.version == 4 and address.is_reserved:
        return "reserved"
    return None


def _embedded(address: IPAddress) -> tuple[IPv4Address, ...]:
    """Returns the IPv4 addresses that an IPv6 address can stand for."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in EMBEDDING):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)
