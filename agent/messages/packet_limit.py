"""The largest message that the broker accepts, which it reports when a client connects (MQTT 5)."""

from __future__ import annotations

from paho.mqtt.properties import Properties

from inarvl.errors import InarvlError

OVERHEAD = 9  # fixed header, length of the topic, packet identifier


class PacketTooLarge(InarvlError):
    """The message is larger than the broker accepts; it was not sent."""

    code = "packet_too_large"


class PacketLimit:
    """Rejects messages for which the broker would close the connection."""

    def __init__(self) -> None:
        self._bytes: int | None = None

    def learn(self, connack: Properties | None) -> None:
        """Reads the limit from the properties of a CONNACK packet."""
        self._bytes = getattr(connack, "MaximumPacketSize", None)

    def check(self, topic: str, payload: bytes, properties: Properties | None) -> None:
        """Checks a message.

        Raises:
            PacketTooLarge: the broker does not accept messages of its size.
        """
        packed = b"" if properties is None else properties.pack()  # type: ignore[no-untyped-call]
        size = OVERHEAD + len(topic.encode()) + len(packed) + len(payload)
        if self._bytes is not None and size > self._bytes:
            raise PacketTooLarge(
                f"a message of {size} bytes on {topic[:200]} was not sent, because the broker accepts "
                f"{self._bytes}: raise its limit (mosquitto: max_packet_size)"
            )
