"""Checks of names in messages: ids, clients, topic levels."""

from __future__ import annotations

MAX_LENGTH = 128
INVALID_IN_LEVEL = "/#+\0"


def is_name(value: object) -> bool:
    """Returns whether `value` is a string of 1 to MAX_LENGTH printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable()


def is_topic_level(text: str) -> bool:
    """Returns whether `text` is a valid level of an MQTT topic to publish to."""
    return bool(text) and not any(character in text for character in INVALID_IN_LEVEL)
