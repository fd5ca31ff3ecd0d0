"""Makes a paho client: transport, protocol, session, credentials and last will.

Another transport is chosen in `new_client`. For MQTT over websockets, give MqttOptions a field `transport`,
pass it to `paho.Client(transport=...)`, and let `Broker.url` in agent/config/settings.py accept `ws` and
`wss`.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.messages.bounded_client import BoundedClient
from agent.messages.mqtt_options import MqttOptions, Will
from agent.messages.reconnect_pause import MAX_S, MIN_S
from agent.messages.tls import tls_context

SESSION_EXPIRY_S = 86_400
RETAINED, NOT_RETAINED = 0, 2  # retain handling, MQTT 5, section 3.8.3.1


def new_client(options: MqttOptions, will: Will | None, protocol: Literal["5", "3.1.1"]) -> paho.Client:
    """Returns a client that is not connected yet.

    Raises:
        BadTlsFile: a certificate or key file cannot be used.
    """
    client = BoundedClient(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        protocol=paho.MQTTv5 if protocol == "5" else paho.MQTTv311,
        clean_session=None if protocol == "5" else not options.keeps_session,
        manual_ack=True,
        transport="tcp",  # or another one: see the top of this file
    )
    client.on_socket_open = _disable_nagle
    client.reconnect_delay_set(MIN_S, MAX_S)
    if options.username is not None:
        client.username_pw_set(options.username, options.password)
    if options.tls:
        client.tls_set_context(tls_context(options))
    if will:
        client.will_set(will.topic, will.payload, qos=1, retain=True)
    return client


def connect(client: paho.Client, options: MqttOptions) -> None:
    """Starts the client's thread, which connects."""
    mqtt5 = client.protocol == paho.MQTTv5
    properties = None
    if mqtt5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S if options.keeps_session else 0
        properties.ReceiveMaximum = options.receive_maximum
        properties.MaximumPacketSize = options.maximum_packet_bytes
    client.connect_async(
        options.host,
        options.port,
        options.keepalive_s,
        clean_start=not options.keeps_session if mqtt5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=properties,
    )
    client.loop_start()


def subscribe(client: paho.Client, topics: Sequence[str], live: Sequence[str]) -> int | None:
    """Subscribes with QoS 1; returns the packet identifier, or None if the connection is lost already.

    Args:
        live: of these, MQTT 5 asks the broker for no retained messages.
    """
    if client.protocol == paho.MQTTv5:
        options = {
            topic: SubscribeOptions(qos=1, retainHandling=NOT_RETAINED if topic in live else RETAINED)
            for topic in (*topics, *live)
        }
        _, packet = client.subscribe(list(options.items()))
    else:
        _, packet = client.subscribe([(topic, 1) for topic in (*topics, *live)])
    return packet


def publish_properties(
    response_topic: str | None,
    correlation: bytes | None,
    user: Mapping[str, str] | None,
    expiry_s: float | None,
) -> Properties:
    """Returns the properties of a PUBLISH packet."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if response_topic is not None:
        properties.ResponseTopic = response_topic
    if correlation is not None:
        properties.CorrelationData = correlation
    if expiry_s is not None:
        properties.MessageExpiryInterval = max(1, math.ceil(expiry_s))
    if user:
        properties.UserProperty = list(user.items())
    return properties


def _disable_nagle(_client: paho.Client, _data: object, connection: Any) -> None:
    """Disables Nagle's algorithm, which delays small packets by tens of milliseconds."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
