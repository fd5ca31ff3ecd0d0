"""A paho client that reads messages in bounded time, whatever their properties are.

paho copies the rest of a packet, with the payload, for each property that it reads, and has no limit on their
number: one message of 7 MB can keep it busy for minutes. Therefore paho gets the properties without the
payload, and only the first MAX_PROPERTIES within MAX_PROPERTY_BYTES. A message with more is oversized.
"""

from __future__ import annotations

from collections.abc import Iterator

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

MAX_PROPERTIES = 64
MAX_PROPERTY_BYTES = 128 * 1024
CORRELATION, RESPONSE_TOPIC, USER_PROPERTY = 0x09, 0x08, 0x26
# Properties of a PUBLISH packet (MQTT 5.0, section 3.3.2.3): the bytes, or the number of strings, of each.
FIXED = {0x01: 1, 0x02: 4, 0x23: 2}
LENGTH_PREFIXED = {0x03: 1, RESPONSE_TOPIC: 1, CORRELATION: 1, USER_PROPERTY: 2}
SUBSCRIPTION_IDENTIFIER = 0x0B


class Oversized(bytes):
    """Replaces the payload of a message that has more properties than are read."""


class BoundedClient(paho.Client):
    """See the top of this file."""

    def _handle_publish(self) -> MQTTErrorCode:
        self._payload: bytes | None = None
        if self.protocol == paho.MQTTv5:
            qos = (self._in_packet["command"] >> 1) & 3
            head, self._payload = split(self._in_packet["packet"], qos)
            self._in_packet["packet"] = bytearray(head)
        return super()._handle_publish()

    def _handle_on_message(self, message: paho.MQTTMessage) -> None:
        if self._payload is not None:
            message.payload, self._payload = self._payload, None
        super()._handle_on_message(message)


def split(packet: bytearray, qos: int) -> tuple[bytes, bytes | None]:
    """Returns a PUBLISH packet up to its payload, with bounded properties, and the payload.

    A malformed packet is returned as it is, with None, for paho to reject.

    Args:
        packet: what follows the fixed header.
    """
    start = 2 + int.from_bytes(packet[:2], "big") + (2 if qos else 0)
    try:
        length, first = _variable_integer(packet, start)
        end = first + length
        if end > len(packet):
            return bytes(packet), None
        read = first
        for _, after in zip(range(MAX_PROPERTIES), _property_ends(packet, first, end), strict=False):
            if after - first > MAX_PROPERTY_BYTES:
                break
            read = after
    except IndexError:
        return bytes(packet), None
    if read == end:
        return bytes(packet[:end]), bytes(memoryview(packet)[end:])
    head = bytes(packet[:start]) + _encoded(read - first) + bytes(packet[first:read])
    return head, Oversized()


def _property_ends(packet: bytearray, position: int, end: int) -> Iterator[int]:
    """Yields where each property ends, up to `end` or a property that is not known."""
    while position < end:
        kind = packet[position]
        position += 1
        if kind in FIXED:
            position += FIXED[kind]
        elif kind == SUBSCRIPTION_IDENTIFIER:
            _, position = _variable_integer(packet, position)
        elif kind in LENGTH_PREFIXED:
            for _ in range(LENGTH_PREFIXED[kind]):
                position += 2 + int.from_bytes(packet[position : position + 2], "big")
        else:
            return
        if position > end:
            return
        yield position


def _variable_integer(packet: bytearray, position: int) -> tuple[int, int]:
    """Returns a variable byte integer (section 1.5.5) and the position after it."""
    value = 0
    for place in range(4):
        byte = packet[position + place]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, position + place + 1
    raise IndexError("a variable byte integer has at most four bytes")


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (0x80 if value else 0))
        if not value:
            return bytes(encoded)
