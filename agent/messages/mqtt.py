"""A thin asyncio bridge over paho's threaded MQTT client.

1. paho's thread connects, reconnects with backoff and resends what was not acknowledged; it never gives up.
2. Every callback hops onto the event loop; nothing of ours runs in paho's thread.
3. Received QoS 1 messages are acknowledged by hand. An acknowledgement from before a reconnect is dropped:
   the broker sends that message again.
4. How much can wait here is bounded by the receive maximum: the broker holds back the rest. For QoS 0 it
   cannot: beyond MOST_UNCONFIRMED waiting ones, those are dropped, and the log says so.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

Protocol = Literal["auto", "5", "3.1.1"]
SESSION_EXPIRY_S = 86_400
MOST_UNCONFIRMED = 256
LONGEST_RETRY_S = 15
UNSUPPORTED_PROTOCOL = "Unsupported protocol version"
REMEDIES = {
    "Not authorized": "check broker.username and broker.password_file, and the broker's access list",
    "Bad user name or password": "check broker.username and broker.password_file",
    "Banned": "ask the broker's administrator",
}


class PublishRefused(InarvlError):
    """The broker took the message and said no; the reason is its own."""

    code = "publish_refused"


@dataclass(frozen=True)
class MqttOptions:
    """How to reach a broker. `client_id` names the session that the broker keeps while we are away."""

    host: str
    port: int = 1883
    client_id: str = ""
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    protocol: Protocol = "auto"
    keepalive_s: int = 30
    receive_maximum: int = 32


@dataclass(frozen=True)
class Will:
    """What the broker publishes, retained, when this client vanishes."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Message:
    """A message as it came. `ack` tells the broker to forget it.

    `dup` says that it was sent before, under the same number `packet`, 0 with QoS 0; perhaps in vain.
    """

    topic: str
    payload: bytes
    retain: bool
    dup: bool
    response_topic: str | None
    correlation: bytes | None
    user: Mapping[str, str]
    expiry_s: int | None
    ack: Callable[[], None]
    packet: int = 0


class MqttConnection:
    """A connection to one broker: an async context manager that keeps itself connected."""

    def __init__(
        self, options: MqttOptions, *, will: Will | None = None, subscriptions: tuple[str, ...] = ()
    ) -> None:
        self.connected = asyncio.Event()
        self._options = options
        self._will = will
        self._subscriptions = subscriptions
        self._connections = 0
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}
        self._on_connect: list[Callable[[], None]] = []

    async def __aenter__(self) -> MqttConnection:
        self._loop = asyncio.get_running_loop()
        self._start("5" if self._options.protocol == "auto" else self._options.protocol)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        await asyncio.shield(asyncio.to_thread(self._client.loop_stop))

    def when_connected(self, act: Callable[[], None]) -> None:
        """Call `act` at every connect, at once when connected already."""
        self._on_connect.append(act)
        if self.connected.is_set():
            act()

    async def messages(self) -> AsyncIterator[Message]:
        """What arrives on the subscriptions, in order."""
        while True:
            yield await self._received.get()

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: Literal[0, 1] = 0,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        user: Mapping[str, str] | None = None,
    ) -> None:
        """Send a message; with QoS 1 return when the broker has it, however long that takes.

        Raises:
            PublishRefused: the broker will not have it.
        """
        if not self._connections:  # until then the protocol is not settled, and a fallback drops what waits
            await self.connected.wait()
        properties = None
        if self._mqtt5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if response_topic is not None:
                properties.ResponseTopic = response_topic
            if correlation is not None:
                properties.CorrelationData = correlation
            if user:
                properties.UserProperty = list(user.items())
        info = self._client.publish(topic, payload, qos, retain, properties)
        if qos == 1:
            done = self._loop.create_future()
            self._unacknowledged[info.mid] = done
            await done

    def post(self, topic: str, content: Mapping[str, Any] | str, *, retain: bool = False) -> None:
        """Send text or JSON with QoS 0, at once; it is lost while there is no connection."""
        if self.connected.is_set():
            text = content if isinstance(content, str) else json.dumps(content)
            self._client.publish(topic, text.encode(), 0, retain)

    @property
    def alive(self) -> bool:
        """Whether the client's thread runs, which it does with and without a connection."""
        thread = self._client._thread
        return thread is not None and thread.is_alive()

    @property
    def _mqtt5(self) -> bool:
        return self._client.protocol == paho.MQTTv5

    def _start(self, protocol: str) -> None:
        options = self._options
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=paho.MQTTv5 if protocol == "5" else paho.MQTTv311,
            clean_session=None if protocol == "5" else False,
            manual_ack=True,
        )
        client.on_connect = self._hop(self._connected)
        client.on_connect_fail = self._hop(self._unreachable)
        client.on_disconnect = self._hop(self._disconnected)
        client.on_message = self._hop(self._message)
        client.on_publish = self._hop(self._acknowledged)
        client.on_socket_open = _without_delay
        client.reconnect_delay_set(1, LONGEST_RETRY_S)
        if options.username is not None:
            client.username_pw_set(options.username, options.password)
        if options.tls:
            client.tls_set(_text(options.ca_file), _text(options.cert_file), _text(options.key_file))
        if self._will:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        properties = None
        if protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = options.receive_maximum
        self._client = client
        client.connect_async(
            options.host,
            options.port,
            options.keepalive_s,
            clean_start=False if protocol == "5" else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )
        client.loop_start()

    def _hop(self, act: Callable[..., None]) -> Callable[..., None]:
        def callback(client: paho.Client, _data: object, *arguments: Any) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(act, client, *arguments)

        return callback

    def _connected(
        self, client: paho.Client, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self._refused(reason)
            return
        self._connections += 1
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        log.info("connected to the broker at %s:%d", self._options.host, self._options.port)
        self.connected.set()
        for act in self._on_connect:
            act()

    def _refused(self, reason: ReasonCode) -> None:
        name = reason.getName()
        if name == UNSUPPORTED_PROTOCOL and self._mqtt5 and self._options.protocol == "auto":
            log.warning("the broker does not speak MQTT 5: going on with 3.1.1")
            old = self._client
            old.disconnect()
            self._start("3.1.1")
            return
        log.error("the broker refuses us: %s; %s", name, REMEDIES.get(name, "see the broker's log"))

    def _unreachable(self, _client: paho.Client) -> None:
        log.warning("no broker at %s:%d yet: trying on", self._options.host, self._options.port)

    def _disconnected(
        self, client: paho.Client, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if client is self._client and self.connected.is_set():
            self.connected.clear()
            if reason.is_failure:
                log.warning("lost the broker (%s): trying on", reason.getName())

    def _message(self, client: paho.Client, message: paho.MQTTMessage) -> None:
        if not message.qos and self._received.qsize() >= MOST_UNCONFIRMED:
            log.warning("dropped a message on %s: send with QoS 1, which waits at the broker", message.topic)
            return
        properties = getattr(message, "properties", None)
        generation = self._connections

        def ack() -> None:
            if message.qos and client is self._client and generation == self._connections:
                client.ack(message.mid, message.qos)

        self._received.put_nowait(
            Message(
                topic=message.topic,
                payload=bytes(message.payload),
                retain=bool(message.retain),
                dup=bool(message.dup),
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                user=dict(getattr(properties, "UserProperty", [])),
                expiry_s=getattr(properties, "MessageExpiryInterval", None),
                ack=ack,
                packet=message.mid,
            )
        )

    def _acknowledged(self, _client: paho.Client, mid: int, reason: ReasonCode, _properties: object) -> None:
        done = self._unacknowledged.pop(mid, None)
        if done is None or done.done():
            return
        if reason.is_failure:
            done.set_exception(PublishRefused(f"the broker refuses the message: {reason.getName()}"))
        else:
            done.set_result(None)


def _without_delay(_client: paho.Client, _data: object, connection: Any) -> None:
    """Switch Nagle's algorithm off: it holds small packets back for tens of milliseconds."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
