"""Telling devices that an endpoint is here: by zeroconf on the LAN, by a retained MQTT record on a WAN."""

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

from cloud.peer import SERVICE, PeerRecord
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

TOPIC = "inarvl/peers"
GOODBYE_S = 2.0


class AnnounceFailed(InarvlError):
    """The endpoint cannot be announced as asked."""

    code = "announce_failed"


@asynccontextmanager
async def on_lan(record: PeerRecord, interfaces: Sequence[str] = ()) -> AsyncIterator[None]:
    """Announce `record` over zeroconf until the block is left, then say goodbye.

    Args:
        interfaces: addresses of the interfaces to announce it on; none for all.

    Raises:
        AnnounceFailed: an interface has no such address.
    """
    parts = urlparse(record.url)
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
            f"cannot announce on {', '.join(interfaces)} ({error}): see ip address"
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
    """Keep `record` retained on the broker at `url` until the block is left or this process dies.

    Raises:
        AnnounceFailed: the url is none of a broker.
    """
    parts = urlparse(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise AnnounceFailed(f"{url!r} is no broker: give mqtt://host:port or mqtts://host:port")
    topic = f"{TOPIC}/{record.id}"
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.will_set(topic, b"", qos=1, retain=True)

    def announce(_client: object, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        if reason.is_failure:
            log.error("the broker refuses the announcement: %s", reason.getName())
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
            gone = client.publish(topic, b"", qos=1, retain=True)
            await to_thread.run_sync(gone.wait_for_publish, GOODBYE_S)
        client.disconnect()
        await to_thread.run_sync(client.loop_stop)


def advertised_host(listening: str) -> str:
    """The address devices can reach a server at that listens on `listening`: its own, unless that is any."""
    if listening not in ("0.0.0.0", "::", ""):
        return listening
    found = [address for address in _own_addresses() if not address.is_loopback and not address.is_link_local]
    return str(found[0]) if found else "127.0.0.1"


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
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise AnnounceFailed(f"{host!r} has no address ({error}): give one with --advertise") from None
    return list({ipaddress.ip_address(entry[4][0]).packed for entry in found})
