"""Announces an endpoint to devices: by zeroconf on the LAN, by a retained MQTT record on a WAN."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlparse

import paho.mqtt.client as paho
from anyio import to_thread
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from zeroconf.asyncio import AsyncServiceInfo

from cloud.lan_announcer import LanAnnouncer
from cloud.peer import SERVICE, TOPIC, BadPeerRecord, PeerRecord
from inarvl.connection_problem import connection_problem
from inarvl.errors import InarvlError
from inarvl.network_interfaces import NetworkInterface, own_addresses
from inarvl.server_url import shown_url, url_problem
from inarvl.tls_files import client_context

log = logging.getLogger(__name__)

CLEAR_RECORD_S = 2.0
WILDCARDS = ("0.0.0.0", "::", "")
LOOPBACK = "127.0.0.1"
IPAddress = IPv4Address | IPv6Address


class AnnounceFailed(InarvlError):
    """The endpoint cannot be announced with the given options."""

    code = "announce_failed"


@asynccontextmanager
async def on_lan(
    record: PeerRecord, interfaces: Sequence[str] = (), *, listening: str | None = None
) -> AsyncIterator[None]:
    """Announces `record` by zeroconf; withdraws it at the end of the block.

    Args:
        interfaces: addresses of the network interfaces to announce on; empty for all.
        listening: `0.0.0.0` or `::` if the server is reached at every address of this machine; None if it is
            reached at the host of the record's URL.

    Raises:
        AnnounceFailed: no interface has such an address, the host of the record has none, or devices would
            refuse the record.
    """
    record = _announced(record)
    parts = urlparse(record.url)
    fixed = None if listening in WILDCARDS else _addresses(parts.hostname or "")
    chosen = {ip_address(address) for address in interfaces}
    if chosen - own_addresses():
        raise AnnounceFailed(
            f"no interface has the address {', '.join(interfaces)}: `ip address` lists the valid ones"
        )

    def reached_at(interface: NetworkInterface) -> list[str]:
        own = [address.ip for address in interface.addresses]
        if chosen and not chosen & set(own):
            return []
        if fixed is None:
            if interface.is_loopback:
                return []
            versions = (4,) if listening == "0.0.0.0" else (4, 6)
            return [str(ip) for ip in own if ip.version in versions]
        if interface.is_loopback or set(fixed) & own_addresses():
            return [str(ip) for ip in fixed if ip in own]
        return [str(ip) for ip in fixed]

    announcer = LanAnnouncer(lambda addresses: _service(record, addresses), reached_at)
    following = None
    try:
        await announcer.update()
        following = asyncio.create_task(announcer.follow())
        yield
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])
        await announcer.close()


def _announced(record: PeerRecord) -> PeerRecord:
    try:
        announced = record.announced()
        announced.to_txt()
    except BadPeerRecord as error:
        raise AnnounceFailed(str(error)) from None
    return announced


def _service(record: PeerRecord, addresses: Sequence[str]) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        SERVICE,
        f"{record.id}.{SERVICE}",
        parsed_addresses=list(addresses),
        port=urlparse(record.url).port or (443 if record.tls else 80),
        properties=record.to_txt(),
        server=f"{record.id[:40]}-{uuid.uuid4().hex[:8]}.local.",  # has these addresses and no others
    )


@asynccontextmanager
async def on_broker(
    record: PeerRecord,
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Publishes `record` as a retained message, which is cleared when the block or the process ends.

    Args:
        url: mqtt://host:port or mqtts://host:port.
        tls: for an mqtts broker; None to check it by the CAs of the system.

    Raises:
        AnnounceFailed: `url` has another form.
    """
    problem = url_problem(url, ("mqtt", "mqtts"), "use --username and --password-file")
    if problem is not None:
        raise AnnounceFailed(f"invalid broker URL {shown_url(url)!r}: it {problem}")
    parts = urlparse(url)
    topic = f"{TOPIC}/{record.id}"
    client = paho.Client(CallbackAPIVersion.VERSION2)
    announced: list[bool] = []
    client.will_set(topic, b"", qos=1, retain=True)

    record = _announced(record)

    def announce(_client: object, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        if reason.is_failure:
            log.error("the broker refused the connection: %s", reason.getName())
        else:
            announced.append(True)
            client.publish(topic, record.to_bytes(), qos=1, retain=True)

    problems = {""}

    def report(problem: str) -> None:
        if problem not in problems:
            problems.add(problem)
            log.warning("cannot announce on %s yet: %s", url, problem)

    def failed(_client: object, _data: object) -> None:
        error = sys.exc_info()[1]  # paho calls this while it handles the exception
        report("" if error is None else connection_problem(error))

    def ended(_client: object, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        if reason.is_failure and not announced:
            report(
                "it closes the connection: check whether it requires a certificate, or a user and password"
            )

    client.on_connect = announce
    client.on_connect_fail = failed
    client.on_disconnect = ended
    if parts.scheme == "mqtts":
        client.tls_set_context(tls or client_context())
    if username is not None:
        client.username_pw_set(username, password)
    client.connect_async(str(parts.hostname), parts.port or (8883 if parts.scheme == "mqtts" else 1883))
    client.loop_start()
    try:
        yield
    finally:
        if client.is_connected():
            cleared = client.publish(topic, b"", qos=1, retain=True)
            await to_thread.run_sync(cleared.wait_for_publish, CLEAR_RECORD_S)
        client.disconnect()
        await to_thread.run_sync(client.loop_stop)


def advertised_host(listening: str) -> str:
    """Returns the address at which devices reach a server; for a wildcard, one of this host."""
    if listening not in WILDCARDS:
        return listening
    versions = (4,) if listening == "0.0.0.0" else (4, 6)
    usable = [
        ip for ip in own_addresses() if ip.version in versions and not (ip.is_loopback or ip.is_link_local)
    ]
    return str(min(usable, key=lambda ip: (ip.version, ip), default=LOOPBACK))


def _addresses(host: str) -> list[IPAddress]:
    """Returns the addresses of `host`.

    A name of this machine often has a loopback address, 127.0.1.1 on Debian, which others cannot
    reach: the machine's own addresses replace it.
    """
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    try:
        resolved = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise AnnounceFailed(f"cannot resolve {host!r} ({error}): give an address with --advertise") from None
    found = {ip_address(str(entry[4][0]).partition("%")[0]) for entry in resolved}
    reachable = {ip for ip in found if not ip.is_loopback} or {
        ip for ip in own_addresses() if not ip.is_loopback
    }
    if not reachable or host == "localhost":
        return sorted(found, key=lambda ip: ip.version)
    return sorted(reachable, key=lambda ip: ip.version)
