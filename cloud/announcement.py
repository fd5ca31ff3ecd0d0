"""Announces a peer while a command of `inarvl-cloud` runs, as its options say."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cloud.announce import advertised_host, on_broker, on_lan
from cloud.peer import PeerRecord
from inarvl.secret_file import read_secret

HOSTNAME = socket.gethostname()

Identifier = Annotated[str, typer.Option("--id", help="Identifier of this peer; by default the host name.")]
Advertise = Annotated[str | None, typer.Option(help="host or host:port at which devices reach this server.")]
Broker = Annotated[str | None, typer.Option(help="mqtt(s)://host:port to publish a retained record to.")]
Username = Annotated[str | None, typer.Option(help="User name for the broker.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File with the password for the broker, or credential:NAME of the unit.")
]
Zeroconf = Annotated[
    bool, typer.Option("--zeroconf/--no-zeroconf", help="Announce on the local network, or do not.")
]
Interface = Annotated[
    list[str] | None,
    typer.Option(help="Address of an interface to announce on by zeroconf; repeatable, by default all."),
]


@dataclass(frozen=True)
class Announcement:
    """Where a peer is announced.

    Attributes:
        zeroconf: whether by zeroconf on the local network.
        interfaces: addresses of the network interfaces for zeroconf; empty for all.
        broker: mqtt(s)://host:port of a broker for a retained record; None for none.
    """

    zeroconf: bool = True
    interfaces: tuple[str, ...] = ()
    broker: str | None = None
    username: str | None = None
    password_file: Path | None = None

    @asynccontextmanager
    async def of(self, record: PeerRecord, *, listening: str | None = None) -> AsyncIterator[None]:
        """Announces `record` until the end of the block.

        Args:
            listening: see `cloud.announce.on_lan`.

        Raises:
            AnnounceFailed: see `cloud.announce`.
        """
        async with AsyncExitStack() as stack:
            if self.zeroconf:
                await stack.enter_async_context(on_lan(record, self.interfaces, listening=listening))
            if self.broker:
                password = read_secret(self.password_file) if self.password_file else None
                await stack.enter_async_context(
                    on_broker(record, self.broker, username=self.username, password=password)
                )
            yield


def advertised_address(advertise: str | None, listening: str, port: int | None) -> str:
    """Returns host and port as in a URL, at which devices reach a server: `advertise` if it is given."""
    host = advertise or advertised_host(listening)
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    has_port = not host.endswith("]") and ":" in host
    return host if has_port else f"{host}:{port}"
