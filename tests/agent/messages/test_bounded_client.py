"""Properties of a message are read in bounded time."""

from __future__ import annotations

import pytest
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.messages.bounded_client import MAX_PROPERTIES, Oversized, split

QOS_1 = 0x32


def packet(payload: bytes, *, user: int = 0, value: str = "v") -> bytearray:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = "r"
    properties.CorrelationData = b"c"
    properties.MessageExpiryInterval = 9
    properties.SubscriptionIdentifier = 300
    if user:
        properties.UserProperty = [("k", value)] * user
    packed = properties.pack()  # type: ignore[no-untyped-call]
    return bytearray(b"\0\1t" + b"\0\7" + packed + payload)


def decoded(head: bytes) -> Properties:
    properties = decode_publish(QOS_1, bytearray(head), MQTTProtocolVersion.MQTTv5).properties
    assert properties is not None
    return properties


@pytest.mark.parametrize("user", [0, 1, 30])
def test_an_ordinary_message_is_split_unchanged(user: int) -> None:
    whole = packet(b"payload", user=user)
    head, payload = split(whole, qos=1)
    assert (payload, type(payload)) == (b"payload", bytes)
    assert head + b"payload" == whole
    assert len(getattr(decoded(head), "UserProperty", [])) == user


@pytest.mark.parametrize(("user", "value"), [(2_000, ""), (10, "v" * 60_000)])
def test_a_message_with_too_many_properties_keeps_those_for_its_reply(user: int, value: str) -> None:
    head, payload = split(packet(b"payload", user=user, value=value), qos=1)
    assert isinstance(payload, Oversized)
    properties = decoded(head)
    assert (properties.ResponseTopic, properties.CorrelationData) == ("r", b"c")
    assert len(properties.UserProperty) <= MAX_PROPERTIES


def test_without_properties_and_with_qos_0() -> None:
    assert split(bytearray(b"\0\1t\0payload"), qos=0) == (b"\0\1t\0", b"payload")


@pytest.mark.parametrize("damaged", [b"", b"\0", b"\0\1t", b"\0\1t\xff\xff\xff\xff\xff", b"\0\1t\5\x26"])
def test_a_malformed_packet_is_left_to_paho(damaged: bytes) -> None:
    assert split(bytearray(damaged), qos=0) == (damaged, None)
