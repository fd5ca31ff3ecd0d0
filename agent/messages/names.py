"""What may be a name in a message: an id, a client, a topic level."""

from __future__ import annotations

MAX_LENGTH = 128
NOT_IN_A_LEVEL = "/#+\0"


def is_name(value: object) -> bool:
    """Whether `value` is a string of 1 to MAX_LENGTH printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable()


def is_topic_level(text: str) -> bool:
    """Whether `text` can stand between two slashes of an MQTT topic that is published to."""
    return bool(text) and not any(mark in text for mark in NOT_IN_A_LEVEL)
