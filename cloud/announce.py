"""Announces an endpoint to devices: by zeroconf on the LAN, by a retained MQTT record on a WAN."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlparse

import paho.mqtt.client as paho
import psutil
from anyio import to_thread
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from cloud.peer import SERVICE, TOPIC, PeerRecord
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

CLEAR_RECORD_S = 2.0


class AnnounceFailed(InarvlError):
    """The endpoint cannot be announced with the given options."""

    code = "announce_failed"


@asynccontextmanager
async def on_lan(record: PeerRecord, interfaces: Sequence[str] = ()) -> AsyncIterator[None]:
    """Announces `record` by zeroconf; withdraws it at the end of the block.

    Args:
        interfaces: addresses of the network interfaces to announce on; empty for all.

    Raises:
        AnnounceFailed: no interface has such an address, the host of the record has none, or its URL has a
            path, for which zeroconf's records have no place.
    """
    parts = urlparse(record.url)
    if parts.path.rstrip("/") not in ("", "/v1"):
        raise AnnounceFailed(
            f"zeroconf cannot announce the path of {record.url}: announce it with --no-zeroconf and --broker"
        )
    addresses = _addresses(parts.hostname or "")
    info = AsyncServiceInfo(
        SERVICE,
        f"{record.id}.{SERVICE}",
        addresses=addresses,
        port=parts.port or (443 if record.tls else 80),
        properties=record.to_txt(),
        server=f"{record.id}.local.",
    )
    try:
        network = AsyncZeroconf(interfaces=list(interfaces)) if interfaces else AsyncZeroconf()
    except OSError as error:
        raise AnnounceFailed(
            f"cannot announce on {', '.join(interfaces)} ({error}): `ip address` lists the valid ones"
        ) from None
    try:
        await (await network.async_register_service(info, allow_name_change=True))
        log.info("announced on the local network as %s", info.name)
        yield
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


@asynccontextmanager
async def on_broker(
    record: PeerRecord, url: str, *, username: str | None = None, password: str | None = None
) -> AsyncIterator[None]:
    """Publishes `record` as a retained message, which is cleared when the block or the process ends.

    Args:
        url: mqtt://host:port or mqtts://host:port.

    Raises:
        AnnounceFailed: `url` has another form.
    """
    parts = urlparse(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise AnnounceFailed(f"invalid broker URL {url!r}: give mqtt://host:port or mqtts://host:port")
    topic = f"{TOPIC}/{record.id}"
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.will_set(topic, b"", qos=1, retain=True)

    def announce(_client: object, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        if reason.is_failure:
            log.error("the broker refused the connection: %s", reason.getName())
        else:
            client.publish(topic, record.to_bytes(), qos=1, retain=True)

    client.on_connect = announce
    if parts.scheme == "mqtts":
        client.tls_set()
    if username is not None:
        client.username_pw_set(username, password)
    client.connect_async(parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883))
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
    """Returns the address at which devices reach a server: `listening`, or one of this host for 0.0.0.0."""
    if listening not in ("0.0.0.0", "::", ""):
        return listening
    usable = [
        address for address in _own_addresses() if not address.is_loopback and not address.is_link_local
    ]
    return str(usable[0]) if usable else "127.0.0.1"


def _own_addresses() -> list[ipaddress.IPv4Address]:
    return [
        ipaddress.IPv4Address(entry.address)
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET
    ]


def _addresses(host: str) -> list[bytes]:
    try:
        return [ipaddress.ip_address(host).packed]
    except ValueError:
        pass
    try:
        resolved = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise AnnounceFailed(f"cannot resolve {host!r} ({error}): give an address with --advertise") from None
    return list({ipaddress.ip_address(entry[4][0]).packed for entry in resolved})
