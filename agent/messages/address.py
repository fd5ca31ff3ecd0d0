"""Where the reply to a query goes; readable also when the query itself is invalid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.messages.names import is_name, is_topic_level
from agent.messages.query import BadQuery, response_topic
from agent.messages.reply import Refusal
from agent.messages.topics import ANYONE, Topics
from inarvl.errors import InarvlError


@dataclass(frozen=True)
class Address:
    """The topic of a reply, with what lets its receiver match it to the query.

    Attributes:
        query_id: the id that the sender chose; None when it chose none or it cannot be read.
        correlation: MQTT 5 correlation data, returned unchanged.
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
        if client is None or not is_topic_level(client):
            client = ANYONE
        topic = _usable(response) or _usable(_text(fields, "response_topic")) or topics.result(client)
        return cls(topic, _text(fields, "id"), correlation, _text(fields, "correlation"))

    def refusal(self, error: InarvlError, *, resent: bool = False) -> Refusal:
        """The reply that carries an error to this address."""
        return Refusal.of(error, query_id=self.query_id, resent=resent, correlation=self.mirror)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return str(value) if is_name(value) else None


def _usable(topic: str | None) -> str | None:
    try:
        return response_topic(topic)
    except BadQuery:
        return None
