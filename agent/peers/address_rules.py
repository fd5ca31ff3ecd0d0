"""Where a discovered peer may be: the rules for announced URLs, and not at the site's own broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import anyio

from inarvl.announced_url import address_problem, announced_url_problem

BROKER = "must not be the MQTT broker's address"
RESOLVE_EVERY_S = 60.0


@dataclass
class AddressRules:
    """The rules for the addresses of discovered peers.

    Attributes:
        loopback: whether peers on the loopback interface are allowed.
        broker: host and port of the site's broker.
    """

    loopback: bool = False
    broker: tuple[str, int] = ("", 0)
    _broker_addresses: set[str] = field(default_factory=set)

    def url_problem(self, url: str) -> str | None:
        """Returns why an announced URL is refused; None if it can be used."""
        problem = announced_url_problem(url, loopback=self.loopback)
        if problem is None:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 0
            problem = BROKER if self._is_broker(host, port) else None
        return problem

    def problem(self, address: str, port: int) -> str | None:
        """Returns why nothing is sent to an IP address and port; None if it can be used."""
        found = address_problem(ip_address(address), loopback=self.loopback)
        return found or (BROKER if self._is_broker(address, port) else None)

    async def follow_broker(self) -> None:
        """Resolves the broker's name now and then, until cancelled."""
        while True:
            try:
                found = await anyio.getaddrinfo(*self.broker)
            except (OSError, UnicodeError):
                found = []
            if found:  # while DNS is silent, the last ones are kept
                self._broker_addresses = {str(entry[4][0]) for entry in found}
            await anyio.sleep(RESOLVE_EVERY_S)

    def _is_broker(self, host: str, port: int) -> bool:
        name, broker_port = self.broker
        return port == broker_port and host.lower() in {name.lower(), *self._broker_addresses}
