"""Asks questions over MQTT with a fixed number of them under way."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lab.errors import BenchError

TIMEOUT_S = 60.0
MAX_UNDER_WAY = 1024


@dataclass(frozen=True)
class Asked:
    """The replies to a number of questions.

    Attributes:
        latencies_s: from publishing a question to its reply.
        elapsed_s: from the first question to the last reply.
    """

    latencies_s: tuple[float, ...]
    elapsed_s: float

    @property
    def p50_ms(self) -> float:
        """Median latency."""
        return median(self.latencies_s) * 1e3

    @property
    def per_s(self) -> float:
        """Replies per second."""
        return len(self.latencies_s) / self.elapsed_s


class Asker:
    """An MQTT 5 client with one topic for questions; use it as a context manager.

    Args:
        topic: receives the questions.
        image: the payload of each question.
        reply_topic: receives the replies; no other client may use it.
    """

    def __init__(self, port: int, topic: str, image: bytes, reply_topic: str) -> None:
        self._topic = topic
        self._image = image
        self._reply_topic = reply_topic
        self._numbers = itertools.count(1)  # of two threads
        self._left = 0
        self._sent_at: dict[bytes, float] = {}
        self._latencies_s: list[float] = []
        self._wanted = 0
        self._problem = ""
        self._done = threading.Event()
        self._subscribed = threading.Event()
        self._client = quick_client()
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._received
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Asker:
        self._client.loop_start()
        if not self._subscribed.wait(TIMEOUT_S):
            raise BenchError("the broker does not accept the subscription: see its log")
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, count: int, under_way: int) -> Asked:
        """Asks `count` questions and returns when all have a reply.

        Raises:
            BenchError: a question was refused, or got no reply.
        """
        self._latencies_s, self._sent_at = [], {}
        self._wanted, self._left = count, max(0, count - under_way)
        self._done.clear()
        started = time.perf_counter()
        for _ in range(min(count, under_way)):
            self._send()
        if not self._done.wait(TIMEOUT_S):
            raise BenchError(f"{count - len(self._latencies_s)} of {count} questions got no reply")
        if self._problem:
            raise BenchError(f"a question was refused: {self._problem}")
        return Asked(tuple(self._latencies_s), time.perf_counter() - started)

    def _send(self) -> None:
        number = next(self._numbers)
        name = f"{number}".encode()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._reply_topic
        properties.CorrelationData = name
        properties.UserProperty = [
            ("id", f"speed-{number}"),
            ("question", f"is there a red cube beside shape {number}?"),
            ("deadline_ms", "60000"),
        ]
        self._sent_at[name] = time.perf_counter()
        self._client.publish(self._topic, self._image, qos=1, properties=properties)

    def _connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self._reply_topic, qos=1)

    def _received(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        sent_at = self._sent_at.pop(getattr(message.properties, "CorrelationData", b""), None)
        if sent_at is None:
            return
        self._latencies_s.append(time.perf_counter() - sent_at)
        if b'"error"' in message.payload:
            self._problem = str(json.loads(message.payload).get("error"))
            self._done.set()
        elif len(self._latencies_s) == self._wanted:
            self._done.set()
        elif self._left:
            self._left -= 1
            self._send()


def quick_client(client_id: str = "") -> paho.Client:
    """Returns an MQTT 5 client without Nagle's delay and with many messages in flight."""

    def without_delay(_client: paho.Client, _data: object, connection: Any) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
    client.on_socket_open = without_delay
    client.max_inflight_messages_set(MAX_UNDER_WAY)
    return client
