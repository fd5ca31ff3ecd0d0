"""Announces a peer while a command of `inarvl-cloud` runs, as its options say."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlparse

import typer
import yaml

from cloud.announce import AnnounceFailed, advertised_host, on_broker, on_lan
from cloud.peer import PeerRecord
from inarvl.price import BadPrice, Prices
from inarvl.secret_file import read_secret, secret_path
from inarvl.tls_files import client_context
from vlm.allowed_hosts import read_host
from vlm.sockets import is_exposed

log = logging.getLogger(__name__)

HOSTNAME = socket.gethostname()

Identifier = Annotated[str, typer.Option("--id", help="Identifier of this peer; by default the host name.")]
Advertise = Annotated[str | None, typer.Option(help="host or host:port at which devices reach this server.")]
Broker = Annotated[str | None, typer.Option(help="mqtt(s)://host:port to publish a retained record to.")]
Username = Annotated[str | None, typer.Option(help="User name for the broker.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File with the password for the broker, or credential:NAME of the unit.")
]
BrokerCaFile = Annotated[
    Path | None, typer.Option(help="CA file to check the broker by; by default the CAs of the system.")
]
BrokerCertFile = Annotated[Path | None, typer.Option(help="Client certificate, if the broker requires one.")]
BrokerKeyFile = Annotated[Path | None, typer.Option(help="Key file of --broker-cert-file.")]
PricesFile = Annotated[
    Path | None,
    typer.Option("--prices", help="YAML file with the price of each model (docs/money.md)."),
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
        broker_ca_file, broker_cert_file, broker_key_file: for an mqtts broker; see `inarvl.tls_files`.
        prices: what the models cost; None to announce no prices.
    """

    zeroconf: bool = True
    interfaces: tuple[str, ...] = ()
    broker: str | None = None
    username: str | None = None
    password_file: Path | None = None
    broker_ca_file: Path | None = None
    broker_cert_file: Path | None = None
    broker_key_file: Path | None = None
    prices: Prices | None = None

    @asynccontextmanager
    async def of(self, record: PeerRecord, *, listening: str | None = None) -> AsyncIterator[None]:
        """Announces `record` until the end of the block.

        Args:
            listening: see `cloud.announce.on_lan`.

        Raises:
            AnnounceFailed: see `cloud.announce`.
            BadTlsFile: a file for the broker cannot be used.
            SecretUnavailable: the password or key for the broker cannot be read.
        """
        _warn_of_plain_http(record)
        record = replace(record, prices=self.prices)
        async with AsyncExitStack() as stack:
            if self.zeroconf:
                await stack.enter_async_context(on_lan(record, self.interfaces, listening=listening))
            if self.broker:
                password = read_secret(self.password_file) if self.password_file else None
                await stack.enter_async_context(
                    on_broker(
                        record,
                        self.broker,
                        username=self.username,
                        password=password,
                        tls=self._broker_tls(),
                    )
                )
            yield

    def _broker_tls(self) -> ssl.SSLContext | None:
        files = (self.broker_ca_file, self.broker_cert_file, self.broker_key_file)
        if (self.broker or "").startswith("mqtts:"):
            ca_file, cert_file, key_file = files
            return client_context(ca_file, cert_file, None if key_file is None else secret_path(key_file))
        if any(files):
            raise AnnounceFailed("certificates are for an mqtts broker: write --broker mqtts://host:port")
        return None


def read_prices(path: Path | None) -> Prices | None:
    """Reads the file of --prices; None without one.

    Raises:
        BadPrice: the file cannot be read, or a price is invalid.
    """
    if path is None:
        return None
    try:
        return Prices.from_json(yaml.safe_load(path.read_text()))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadPrice(f"{path} cannot be read as YAML: {error}") from None
    except BadPrice as error:
        raise BadPrice(f"{path}: {error}") from None


def warn_of_other_name(record: PeerRecord, hosts: Sequence[str]) -> None:
    """Logs a warning if the certificate of a server, for `hosts`, is not for the host that is announced."""
    announced = read_host(urlparse(record.url).hostname or "")
    if announced not in [read_host(host) for host in hosts if not host.startswith("*")]:
        log.warning(
            "%s is announced, but the certificate is for %s: devices that know its CA refuse it; use one "
            "of these names with --advertise",
            record.url,
            ", ".join(hosts),
        )


def _warn_of_plain_http(record: PeerRecord) -> None:
    host = urlparse(record.url).hostname or ""
    if not is_exposed(f"{host}:0"):
        log.warning("%s is announced, but only this machine reaches it", record.url)
    elif not record.tls:
        log.warning(
            "%s is announced without TLS: devices cannot know whose server it is, and use it only if their "
            "site file permits that; `inarvl-cloud keygen --help` says how to make certificates",
            record.url,
        )


def advertised_address(advertise: str | None, listening: str, port: int | None) -> str:
    """Returns host and port as in a URL, at which devices reach a server: `advertise` if it is given."""
    host = advertise or advertised_host(listening)
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    has_port = not host.endswith("]") and ":" in host
    return host if has_port else f"{host}:{port}"
