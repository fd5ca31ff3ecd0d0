"""Options of a connection to an MQTT broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Protocol = Literal["auto", "5", "3.1.1"]


@dataclass(frozen=True)
class MqttOptions:
    """Address, credentials and session of a connection.

    Attributes:
        client_id: names the session that the broker keeps while this client is disconnected.
        protocol: `auto` is MQTT 5, with a fallback to 3.1.1.
        keeps_session: whether the broker keeps the session, with its messages, after a disconnect.
        receive_maximum: how many unacknowledged QoS 1 messages the broker may send (MQTT 5).
        maximum_packet_bytes: size of the largest message that the broker may send (MQTT 5).
    """

    host: str
    port: int = 1883
    client_id: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    protocol: Protocol = "auto"
    keepalive_s: int = 30
    keeps_session: bool = True
    receive_maximum: int = 16
    maximum_packet_bytes: int = 17 * 2**20


@dataclass(frozen=True)
class Will:
    """The last will: a retained message that the broker publishes if this client disconnects unexpectedly."""

    topic: str
    payload: bytes
