"""Checks the URLs of servers: one set of rules for the site file, peer records and connections."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import SplitResult, urlsplit

from yarl import URL

MAX_LENGTH = 512
MAX_HOST_LENGTH = 253
MAX_SOCKET_PATH = 107  # of a unix socket on Linux, in bytes
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
CREDENTIALS_HINT = "write them elsewhere"


def url_problem(url: str, schemes: tuple[str, ...], credentials_hint: str = CREDENTIALS_HINT) -> str | None:
    """Returns what is wrong with the URL of a server; None if a connection can be tried.

    A host name must be one that DNS can have: labels of 1 to 63 letters, digits and dashes. Other letters are
    encoded first (IDNA).

    Args:
        schemes: the possible schemes, in lower case as they must be written.
        credentials_hint: where to write a user name or a key instead.
    """
    form = "must be " + " or ".join(f"{scheme}://host:port" for scheme in schemes)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # such as an incomplete IPv6 address
        return form
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)) or not host:
        return form
    if "@" in parts.netloc:
        return f"must not contain credentials: {credentials_hint}"
    if "?" in url or "#" in url:
        return "must not contain a query or fragment: remove everything from ? or # on"
    if not url.isprintable() or any(character in url for character in ' "<>\\^`{|}'):
        return 'must not contain blanks, control characters or any of "<>\\^`{|}'
    if len(url) > MAX_LENGTH:
        return f"must have at most {MAX_LENGTH} characters"
    if not _is_host(host):
        return "must name a host by its address, or by its name of letters, digits, dots and dashes"
    if not _has_valid_port(parts):
        return "its port must be a number from 1 to 65535"
    try:
        URL(url)  # as aiohttp reads it
    except ValueError:
        return form
    return None


def shown_url(url: str) -> str:
    """Returns the URL for a message: without user name, password, query and fragment, and not too long.

    >>> shown_url("http://me:secret@host:80/v1?key=k")
    'http://host:80/v1'
    """
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    return (scheme + separator + re.split(r"[?#]", rest.rpartition("@")[2])[0])[:200]


def socket_problem(url: str) -> str | None:
    """Returns what is wrong with a URL `unix:/path` of a socket; None if a connection can be tried."""
    path = url.removeprefix("unix:")
    if path == url or not path.startswith("/") or not url.isprintable():
        return "must be unix:/path of a socket"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        return f"must have a path of at most {MAX_SOCKET_PATH} bytes"
    return None


def stays_on_this_machine(url: str) -> bool:
    """Returns whether the URL of a server is that of a unix socket or of the loopback interface."""
    if url.startswith("unix:"):
        return True
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return getattr(address, "ipv4_mapped", None) is None and address.is_loopback


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return False
        labels = host.removesuffix(".").split(".")
        numeric = labels[-1].isdigit()  # such as an incomplete IPv4 address
        return len(host) <= MAX_HOST_LENGTH and not numeric and all(map(LABEL.fullmatch, labels))
    return True


def _has_valid_port(parts: SplitResult) -> bool:
    text = parts.netloc.rpartition("]")[2] if "[" in parts.netloc else parts.netloc
    port = text.partition(":")[2] if ":" in text else None
    return port is None or (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535)
