"""An asyncio interface to paho's threaded MQTT client.

1. paho's thread connects, reconnects with backoff and sends unacknowledged messages again; it never gives up.
2. paho's callbacks are passed to the event loop. Only the setup of a new socket runs in paho's thread.
3. Received QoS 1 messages are acknowledged explicitly. If the connection was lost since a message arrived,
   its acknowledgement is ignored: the broker delivers it again.
4. The receive maximum limits how many QoS 1 messages wait here; the broker queues the rest. QoS 0 messages
   have no such limit: while MAX_QUEUED messages wait, they are dropped and logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions, Will
from agent.messages.mqtt_transport import connect, new_client
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

MAX_QUEUED = 256
UNSUPPORTED_PROTOCOL = "Unsupported protocol version"
REMEDIES = {
    "Not authorized": "check broker.username and broker.password_file, and the broker's access list",
    "Bad user name or password": "check broker.username and broker.password_file",
    "Banned": "ask the broker's administrator",
}


class PublishRefused(InarvlError):
    """The broker rejected the message; the error has the broker's reason."""

    code = "publish_refused"


class MqttConnection:
    """A connection to one broker: an async context manager that reconnects by itself.

    Attributes:
        connected: set while there is a connection.
    """

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

    def when_connected(self, callback: Callable[[], None]) -> None:
        """Calls `callback` at every connect, and immediately if connected already."""
        self._on_connect.append(callback)
        if self.connected.is_set():
            callback()

    async def messages(self) -> AsyncIterator[Message]:
        """Yields the messages received on the subscriptions, in order."""
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
        """Publishes a message; with QoS 1, returns when the broker has acknowledged it, without a timeout.

        Raises:
            PublishRefused: the broker rejected the message.
        """
        if not self._connections:  # a fallback to MQTT 3.1.1 would drop messages that wait
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
        """Publishes text or JSON with QoS 0 without waiting; it is dropped while there is no connection."""
        if self.connected.is_set():
            text = content if isinstance(content, str) else json.dumps(content)
            self._client.publish(topic, text.encode(), 0, retain)

    @property
    def alive(self) -> bool:
        """Whether the client's thread is running; it also runs without a connection."""
        thread = self._client._thread
        return thread is not None and thread.is_alive()

    @property
    def _mqtt5(self) -> bool:
        return self._client.protocol == paho.MQTTv5

    def _start(self, protocol: Literal["5", "3.1.1"]) -> None:
        client = new_client(self._options, self._will, protocol)
        client.on_connect = self._on_event_loop(self._connected)
        client.on_connect_fail = self._on_event_loop(self._connect_failed)
        client.on_disconnect = self._on_event_loop(self._disconnected)
        client.on_message = self._on_event_loop(self._message)
        client.on_publish = self._on_event_loop(self._acknowledged)
        self._client = client
        connect(client, self._options)

    def _on_event_loop(self, handle: Callable[..., None]) -> Callable[..., None]:
        def callback(client: paho.Client, _data: object, *arguments: Any) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(handle, client, *arguments)

        return callback

    def _connected(
        self, client: paho.Client, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self._rejected(reason)
            return
        self._connections += 1
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        log.info("connected to the broker at %s:%d", self._options.host, self._options.port)
        self.connected.set()
        for callback in self._on_connect:
            callback()

    def _rejected(self, reason: ReasonCode) -> None:
        name = reason.getName()
        if name == UNSUPPORTED_PROTOCOL and self._mqtt5 and self._options.protocol == "auto":
            log.warning("the broker does not support MQTT 5: using 3.1.1")
            old = self._client
            old.disconnect()
            self._start("3.1.1")
            return
        log.error("the broker rejected the connection: %s; %s", name, REMEDIES.get(name, "see its log"))

    def _connect_failed(self, _client: paho.Client) -> None:
        log.warning("no broker at %s:%d yet: retrying", self._options.host, self._options.port)

    def _disconnected(
        self, client: paho.Client, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if client is self._client and self.connected.is_set():
            self.connected.clear()
            if reason.is_failure:
                log.warning("lost the connection to the broker (%s): reconnecting", reason.getName())

    def _message(self, client: paho.Client, message: paho.MQTTMessage) -> None:
        if not message.qos and self._received.qsize() >= MAX_QUEUED:
            log.warning(
                "dropped a message on %s: %d wait already; send with QoS 1, which the broker queues",
                message.topic,
                MAX_QUEUED,
            )
            return
        properties = getattr(message, "properties", None)
        connection = self._connections

        def ack() -> None:
            if message.qos and client is self._client and connection == self._connections:
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
            done.set_exception(PublishRefused(f"the broker rejected the message: {reason.getName()}"))
        else:
            done.set_result(None)
