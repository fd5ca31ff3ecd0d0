"""The address of a reply, which is known even if the query is invalid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.messages.names import is_name, is_topic_level
from agent.messages.query import BadQuery, response_topic
from agent.messages.reply import Refusal
from agent.messages.topics import ANONYMOUS, Topics
from inarvl.errors import InarvlError


@dataclass(frozen=True)
class Address:
    """The topic of a reply, and the values by which its receiver matches it to the query.

    Attributes:
        query_id: the id that the sender chose; None if it is missing or invalid.
        correlation: MQTT 5 correlation data, returned unchanged.
        mirror: the field `correlation` of the query, returned in the reply.
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
        """Returns the address of a query.

        The first valid topic is used: MQTT 5's response topic, the field `response_topic`, the default topic
        of the client.

        Args:
            fields: the query's fields, as far as they can be read.
            response, correlation: MQTT 5 response topic and correlation data.
        """
        client = _text(fields, "client")
        if client is None or not is_topic_level(client):
            client = ANONYMOUS
        topic = (
            _valid_topic(response) or _valid_topic(_text(fields, "response_topic")) or topics.result(client)
        )
        return cls(topic, _text(fields, "id"), correlation, _text(fields, "correlation"))

    def refusal(self, error: InarvlError, *, resent: bool = False) -> Refusal:
        """Returns the reply that reports an error to this address."""
        return Refusal.of(error, query_id=self.query_id, resent=resent, correlation=self.mirror)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return str(value) if is_name(value) else None


def _valid_topic(topic: str | None) -> str | None:
    try:
        return response_topic(topic)
    except BadQuery:
        return None
