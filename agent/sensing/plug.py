"""Power of the whole board from a smart plug, over MQTT.

1. It has its own connection, so that a broken plug or a denied topic does not disturb the agent's.
2. A message is a sample at the time of its arrival. A retained message is ignored: its age is unknown.
3. A message older than `max_age_s` is not used: the plug may be unplugged. Then another sensor is used, if
   the board has one.
4. A plug sends a message every second to every minute. The power is not accurate over less than the usual
   time between them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import paho.mqtt.client as paho

from agent.messages.mqtt_options import MqttOptions
from agent.messages.mqtt_transport import connect, new_client
from agent.profile.profile import Profile
from agent.profile.sections import MQTT_SOURCE
from agent.sensing.plug_message import BadPlugMessage, power_w
from agent.sensing.sample import Sample, SensorFault
from inarvl.door import Door

FIRST_MESSAGE_S = 8.0  # the first sample waits for a message, below the time limit of a sample
START_RESOLUTION_S = 1.0
DENIED = 128  # a reason code from here on is a refusal (MQTT 5, section 2.4)
HOW = (
    "let it publish its power there (Shelly: MQTT, generic status update; Tasmota: `TelePeriod 10`), "
    "and allow the agent's user to read the topic"
)


def plug_of(profile: Profile, options: MqttOptions, door: Door | None = None) -> Plug | None:
    """Returns the plug that the profile names as the source of the board's power; None if it names none."""
    source = profile.power.source
    if source is None:
        return None
    topic = source.removeprefix(MQTT_SOURCE)
    return Plug(options, topic, max_age_s=profile.power.max_age_s, door=door)


class Plug:
    """The last message of a plug.

    Args:
        options: address and credentials of the broker.
        topic: where the plug publishes its power.
        max_age_s: age above which a message is not used, in seconds.
        door: guards the messages.
        clock: monotonic time in seconds.
    """

    name = "plug"

    def __init__(
        self,
        options: MqttOptions,
        topic: str,
        *,
        max_age_s: float,
        door: Door | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = replace(
            options, client_id=f"{options.client_id}-plug", keeps_session=False, protocol="3.1.1"
        )
        self._topic = topic
        self._max_age_s = max_age_s
        self._door = door or Door("messages of the plug")
        self._clock = clock
        self._client: paho.Client | None = None
        self._received = threading.Event()
        self._message: tuple[float, float] | None = None  # its time of arrival, and its power
        self._reported_at = 0.0
        self._problem = "it is not connected to the broker"
        self._resolution_s = START_RESOLUTION_S

    @property
    def max_age_s(self) -> float:
        """Age above which a message is not used, in seconds."""
        return self._max_age_s

    def resolution_s(self) -> float:
        """The usual time between two messages, in seconds."""
        return self._resolution_s

    def sample(self) -> Sample:
        """Returns the power of a message that has not been returned yet, else nothing."""
        if self._client is None:
            self._start()
        if self._message is None:
            self._received.wait(FIRST_MESSAGE_S)
        if self._message is None:
            raise SensorFault(f"no power from {self._topic}: {self._problem}")
        at, power = self._message
        age_s = self._clock() - at
        if age_s > self._max_age_s:
            raise SensorFault(f"the last message on {self._topic} is {age_s:.0f} s old: is the plug online?")
        if at == self._reported_at:
            return Sample()
        self._reported_at = at
        return Sample(power_w=power, rails_w={self.name: power})

    def receive(self, payload: bytes) -> None:
        """Takes a message of the plug."""
        now = self._clock()
        with self._door.guard(self._topic):
            try:
                power = power_w(payload)
            except BadPlugMessage as error:
                self._problem = str(error)
                raise
            if self._message is not None:
                passed_s = min(now - self._message[0], self._max_age_s)
                self._resolution_s += 0.3 * (max(passed_s, 0.01) - self._resolution_s)
            self._message = (now, power)
            self._received.set()

    def close(self) -> None:
        """Disconnects."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _start(self) -> None:
        client = new_client(self._options, None, "3.1.1")
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._on_message
        client.on_disconnect = self._disconnected
        connect(client, self._options)
        self._client = client

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._problem = f"the broker refuses the connection ({reason}): see the broker's log"
        else:
            self._problem = f"there is no message: {HOW}"
            client.subscribe(self._topic, qos=0)

    def _subscribed(
        self, _client: paho.Client, _data: Any, _packet: int, reasons: Any, _properties: Any
    ) -> None:
        if any(reason.value >= DENIED for reason in reasons):
            self._problem = f"the broker refuses the subscription: {HOW}"

    def _disconnected(
        self, _client: paho.Client, _data: Any, _flags: Any, _reason: Any, _properties: Any
    ) -> None:
        self._problem = f"the broker at {self._options.host}:{self._options.port} does not answer: start it"

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        client.ack(message.mid, message.qos)
        if message.retain:
            self._problem = "only a retained message, whose age is unknown: the plug must publish again"
            return
        self.receive(bytes(message.payload))
