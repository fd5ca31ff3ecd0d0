"""Makes a paho client: transport, protocol, session, credentials and last will.

Another transport is chosen in `new_client`. For MQTT over websockets, give MqttOptions a field `transport`,
pass it to `paho.Client(transport=...)`, and let `Broker.url` in agent/config/settings.py accept `ws` and
`wss`.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.messages.mqtt_options import MqttOptions, Will

SESSION_EXPIRY_S = 86_400
MAX_RETRY_S = 15


def new_client(options: MqttOptions, will: Will | None, protocol: Literal["5", "3.1.1"]) -> paho.Client:
    """Returns a client that is not connected yet."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        protocol=paho.MQTTv5 if protocol == "5" else paho.MQTTv311,
        clean_session=None if protocol == "5" else False,
        manual_ack=True,
        transport="tcp",  # or another one: see the top of this file
    )
    client.on_socket_open = _disable_nagle
    client.reconnect_delay_set(1, MAX_RETRY_S)
    if options.username is not None:
        client.username_pw_set(options.username, options.password)
    if options.tls:
        client.tls_set(_text(options.ca_file), _text(options.cert_file), _text(options.key_file))
    if will:
        client.will_set(will.topic, will.payload, qos=1, retain=True)
    return client


def connect(client: paho.Client, options: MqttOptions) -> None:
    """Starts the client's thread, which connects and keeps the session."""
    mqtt5 = client.protocol == paho.MQTTv5
    properties = None
    if mqtt5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = options.receive_maximum
    client.connect_async(
        options.host,
        options.port,
        options.keepalive_s,
        clean_start=False if mqtt5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=properties,
    )
    client.loop_start()


def _disable_nagle(_client: paho.Client, _data: object, connection: Any) -> None:
    """Disables Nagle's algorithm, which delays small packets by tens of milliseconds."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
