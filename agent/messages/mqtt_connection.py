"""An asyncio interface to paho's threaded MQTT client.

1. paho's thread connects and reconnects with backoff; it never gives up.
2. paho's callbacks are passed to the event loop, except for what has to be read in paho's thread
   (`thread_callbacks`).
3. Received QoS 1 messages are acknowledged explicitly. If the connection was lost since a message arrived,
   its acknowledgement is ignored: the broker delivers it again.
4. A connection is used once the broker has answered the subscriptions. Those that it refuses are reported.
5. A retained message is ignored on topics for live messages: it would arrive again at every connect.
6. The receive maximum limits how many QoS 1 messages wait here; the broker queues the rest. QoS 0 messages
   have no such limit: while MAX_QUEUED messages or MAX_QUEUED_BYTES wait, they are dropped and logged.
7. When the connection ends, unacknowledged messages are published again at the next one. If the broker closes
   the connection at one of them twice, this one fails (`turns`).
8. A message that is larger than the broker accepts is never sent, because the broker would disconnect.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.messages.bounded_client import Oversized
from agent.messages.deliveries import Deliveries
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions, Will
from agent.messages.mqtt_transport import connect, new_client, publish_properties, subscribe
from agent.messages.packet_limit import PacketLimit, PacketTooLarge
from agent.messages.reconnect_pause import STAND_BACK_S
from agent.messages.thread_callbacks import Loss, ThreadCallbacks
from inarvl.redaction import redacted_json

log = logging.getLogger(__name__)

MAX_QUEUED, MAX_QUEUED_BYTES = 256, 32 * 2**20
UNSUPPORTED_PROTOCOL = "Unsupported protocol version"
REMEDIES = {
    "Not authorized": "check broker.username and broker.password_file, and the broker's access list",
    "Bad user name or password": "check broker.username and broker.password_file",
    "Banned": "ask the broker's administrator",
}
TAKEN_OVER = (
    "another client seems to connect to the broker as {!r}, so two agents have the same name: give one of "
    "them another `device` in its site file. This one stays disconnected for {} minutes"
)


class MqttConnection:
    """A connection to one broker: an async context manager that reconnects by itself.

    Attributes:
        connected: set while there is a connection.
        tried: set when the first attempt to connect has succeeded or failed.
        problem: why there is no connection, or why it is not complete, and what to do; None if it is.
        times_taken_over: how often another client with the same name has taken the session over.

    Args:
        subscriptions: topics to receive, with the messages that the broker retains.
        live: topics to receive without them.
    """

    def __init__(
        self,
        options: MqttOptions,
        *,
        will: Will | None = None,
        subscriptions: tuple[str, ...] = (),
        live: tuple[str, ...] = (),
    ) -> None:
        self.connected = asyncio.Event()
        self.tried = asyncio.Event()
        self.problem: str | None = None
        self.times_taken_over = 0
        self._options = options
        self._will = will
        self._subscriptions = subscriptions
        self._live = live
        self._subscribing: int | None = None
        self._connections = 0
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self._received_bytes = 0
        self._limit = PacketLimit()
        self._deliveries = Deliveries()
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
            message = await self._received.get()
            self._received_bytes -= len(message.payload)
            yield message

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
        expiry_s: float | None = None,
    ) -> None:
        """Publishes a message; with QoS 1, returns when the broker has acknowledged it, without a timeout.

        Args:
            response_topic, correlation, user, expiry_s: MQTT 5 properties; without effect with MQTT 3.1.1.

        Raises:
            PacketTooLarge: the broker does not accept messages of this size.
            PublishRefused: the broker rejected the message.
            DisconnectedTwice: the broker closed the connection instead, twice.
        """

        async def publish_once() -> int:
            await self.connected.wait()
            properties = None
            if self._mqtt5:
                properties = publish_properties(response_topic, correlation, user, expiry_s)
            self._limit.check(topic, payload, properties)
            return self._client.publish(topic, payload, qos, retain, properties).mid

        await (self._deliveries.deliver(publish_once) if qos else publish_once())

    def post(self, topic: str, content: Mapping[str, Any] | str, *, retain: bool = False) -> None:
        """Publishes text or JSON with QoS 0 without waiting.

        It is dropped while there is no connection, and if the broker does not accept messages of its size.
        """
        if self.connected.is_set():
            hidden = redacted_json(content)
            payload = (hidden if isinstance(hidden, str) else json.dumps(hidden)).encode()
            try:
                self._limit.check(topic, payload, None)
            except PacketTooLarge as error:
                log.warning("%s", error)
                return
            self._client.publish(topic, payload, 0, retain)

    @property
    def alive(self) -> bool:
        """Whether the client's thread is running; it also runs without a connection."""
        thread = self._client._thread
        return thread is not None and thread.is_alive()

    @property
    def _broker(self) -> str:
        return f"the broker at {self._options.host}:{self._options.port}"

    @property
    def _mqtt5(self) -> bool:
        return self._client.protocol == paho.MQTTv5

    def _start(self, protocol: Literal["5", "3.1.1"]) -> None:
        client = self._client = new_client(self._options, self._will, protocol)
        observed = ThreadCallbacks(client)

        def accepted(
            _client: object, _data: object, _flags: object, reason: ReasonCode, properties: Properties | None
        ) -> None:
            observed.accepted(reason)
            self._call(self._accepted, client, reason, properties)

        def failed(_client: object, _data: object) -> None:
            self._call(self._failed, client, observed.error())

        def lost(_client: object, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
            self._call(self._disconnected, client, observed.lost(reason))

        client.on_connect = accepted
        client.on_connect_fail = failed
        client.on_disconnect = lost
        client.on_subscribe = self._on_event_loop(self._subscribed)
        client.on_message = self._on_event_loop(self._message)
        client.on_publish = self._on_event_loop(self._acknowledged)
        connect(client, self._options)

    def _on_event_loop(self, handle: Callable[..., None]) -> Callable[..., None]:
        def callback(client: paho.Client, _data: object, *arguments: Any) -> None:
            self._call(handle, client, *arguments)

        return callback

    def _call(self, handle: Callable[..., None], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(handle, *arguments)

    def _accepted(self, client: paho.Client, reason: ReasonCode, properties: Properties | None) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self._rejected(reason)
            return
        self._limit.learn(properties)
        self._connections += 1
        if self._subscriptions or self._live:
            self._subscribing = subscribe(client, self._subscriptions, self._live)
        else:
            self._ready(None)

    def _subscribed(
        self, client: paho.Client, packet: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        if client is not self._client or packet != self._subscribing:
            return
        topics = (*self._subscriptions, *self._live)
        refused = [
            f"{topic} ({reason.getName()})"
            for topic, reason in zip(topics, reasons, strict=False)
            if reason.is_failure
        ]
        self._ready(
            f"the broker refuses subscriptions to {', '.join(refused)}: allow this user to read them"
            if refused
            else None
        )

    def _ready(self, problem: str | None) -> None:
        log.info("connected to the broker at %s:%d", self._options.host, self._options.port)
        self._report(problem, log.error)
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
        self._report(
            f"the broker rejects the connection: {name}; {REMEDIES.get(name, 'see its log')}", log.error
        )

    def _failed(self, client: paho.Client, problem: str) -> None:
        if client is self._client:
            self._deliveries.broker_down()
            self._report(f"{self._broker}: {problem}", log.warning)

    def _disconnected(self, client: paho.Client, loss: Loss) -> None:
        if client is not self._client:
            return
        if loss.taken_over:
            self.times_taken_over += 1
            self._report(TAKEN_OVER.format(self._options.client_id, STAND_BACK_S // 60), log.error)
        elif self.connected.is_set() and loss.failed:
            self._report(f"{self._broker}: lost the connection: {loss.problem}", log.warning)
        elif loss.failed and self.problem is None:  # a rejected connection is closed too
            hint = "" if self._options.tls else "; if this port expects TLS, write mqtts:// in its URL"
            self._report(f"{self._broker}: {loss.problem}{hint}", log.warning)
        client.drop_out_messages()  # they are published again, in a different order
        self._deliveries.connection_ended(by_broker=self.connected.is_set() and loss.by_broker)
        self.connected.clear()

    def _report(self, problem: str | None, logged: Callable[[str], None]) -> None:
        """Sets the problem, and logs it if it has changed."""
        if problem is not None and problem != self.problem:
            logged(problem)
        self.problem = problem
        self.tried.set()

    def _message(self, client: paho.Client, message: paho.MQTTMessage) -> None:
        waiting_bytes = self._received_bytes + len(message.payload)
        if not message.qos and (self._received.qsize() >= MAX_QUEUED or waiting_bytes > MAX_QUEUED_BYTES):
            log.warning(
                "dropped a message on %s: %d wait already; send with QoS 1, which the broker queues",
                message.topic,
                self._received.qsize(),
            )
            return
        if message.retain and message.topic in self._live:
            log.warning("ignored a retained message on %s: publish it without retain", message.topic)
            if message.qos:
                client.ack(message.mid, message.qos)
            return
        self._received_bytes = waiting_bytes
        properties = getattr(message, "properties", None)
        connection = self._connections

        def ack() -> None:
            if message.qos and client is self._client and connection == self._connections:
                client.ack(message.mid, message.qos)

        self._received.put_nowait(
            Message(
                topic=message.topic,
                payload=bytes(message.payload),
                oversized=isinstance(message.payload, Oversized),
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
        self._deliveries.acknowledged(mid, reason)
