"""A received MQTT message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A message as the broker delivered it, with its MQTT 5 properties.

    Attributes:
        dup: the broker delivered it before, perhaps unsuccessfully.
        user: MQTT 5 user properties.
        expiry_s: seconds until the message expires; None without a limit.
        ack: acknowledges the message, so that the broker does not deliver it again.
        oversized: it has more properties than are read; the payload is empty.
        packet: packet identifier, the same in each delivery; 0 with QoS 0.
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
    oversized: bool = False
