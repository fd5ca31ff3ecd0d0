"""Checks within a time limit whether a web server accepts connections."""

from __future__ import annotations

import queue
import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def connection_problem(url: str, timeout_s: float) -> str | None:
    """Connects to the server of `url`, or to the proxy for it. Returns None, or why this failed.

    Tries IPv4 and IPv6 at the same time. Uses threads, because looking up a name has no timeout.
    """
    host, port = _first_hop(url)
    results: queue.Queue[OSError | None] = queue.Queue()
    families = (socket.AF_INET, socket.AF_INET6)
    for family in families:
        threading.Thread(target=_connect, args=(host, port, family, timeout_s, results), daemon=True).start()
    deadline = time.monotonic() + timeout_s
    problems: list[OSError] = []
    for _ in families:
        try:
            error = results.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return f"no connection to {host} within {timeout_s:g} s"
        if error is None:
            return None
        problems.append(error)
    problem = min(
        problems, key=lambda error: isinstance(error, socket.gaierror)
    )  # a host may have one family
    return f"{host}: {problem.strerror or problem}"


def _connect(
    host: str,
    port: int,
    family: socket.AddressFamily,
    timeout_s: float,
    results: queue.Queue[OSError | None],
) -> None:
    try:
        *_, address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(address)
        results.put(None)
    except OSError as error:
        results.put(error)


def _first_hop(url: str) -> tuple[str, int]:
    """Returns host and port of the proxy for `url`, or of `url` itself if it needs none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
