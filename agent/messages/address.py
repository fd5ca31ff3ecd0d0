"""Where the reply to a query goes, found also when the query itself is no good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.messages.query import BadQuery, response_topic
from agent.messages.topics import ANYONE, Topics


@dataclass(frozen=True)
class Address:
    """The topic of a reply with what lets its receiver match it.

    Attributes:
        query_id: the id the sender chose; None when it chose none or it cannot be read.
        correlation: MQTT 5 correlation data, returned untouched.
        mirror: the correlation of a JSON query, returned inside the reply.
    """

    topic: str
    query_id: str | None = None
    correlation: bytes | None = None
    mirror: str | None = None

    @classmethod
    def of(
        cls,
        fields: Mapping[str, Any],
        topics: Topics,
        *,
        response: str | None = None,
        correlation: bytes | None = None,
    ) -> Address:
        """MQTT 5's response topic wins over the JSON field, and that over the client's default topic."""
        client = _text(fields, "client")
        if client is None or any(mark in client for mark in "/#+\0"):
            client = ANYONE
        topic = _usable(response) or _usable(_text(fields, "response_topic")) or topics.result(client)
        return cls(topic, _text(fields, "id"), correlation, _text(fields, "correlation"))


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    sound = isinstance(value, str) and 0 < len(value) <= 128 and value.isprintable()
    return value if sound else None


def _usable(topic: str | None) -> str | None:
    try:
        return response_topic(topic)
    except BadQuery:
        return None
