"""The address of a reply, which is known even if the query is invalid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.messages.names import is_name, is_topic_level
from agent.messages.query import BadQuery
from agent.messages.reply import Refusal
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import ANONYMOUS
from inarvl.errors import InarvlError


@dataclass(frozen=True)
class Address:
    """The topic of a reply, and the values by which its receiver matches it to the query.

    Attributes:
        query_id: the id that the sender chose; None if it is missing or invalid.
        correlation: MQTT 5 correlation data, returned unchanged.
        mirror: the field `correlation` of the query, returned in the reply.
        client: who asks: the client on whose own topic the query arrived, else the name that it claims.
        fault: why the reply does not go to the topic that the query names, but to the default one.
    """

    topic: str
    query_id: str | None = None
    correlation: bytes | None = None
    mirror: str | None = None
    client: str = ANONYMOUS
    fault: BadQuery | None = None

    @classmethod
    def of(
        cls,
        fields: Mapping[str, Any],
        rules: ReplyRules,
        *,
        client: str | None = None,
        response: str | None = None,
        correlation: bytes | None = None,
    ) -> Address:
        """Returns the address of a query.

        The topic is MQTT 5's response topic, else the field `response_topic`, else the default topic of the
        client; the default topic also if the rules refuse the one that is named.

        Args:
            fields: the query's fields, as far as they can be read.
            client: the client on whose own topic the query arrived; None on the open topic, where the field
                `client` names it.
            response, correlation: MQTT 5 response topic and correlation data.
        """
        named = response if response is not None else _text(fields, "response_topic")
        sender = _claimed(fields) if client is None else client
        topic, fault = rules.default(sender), None
        if named is not None:
            try:
                topic = rules.check(named, client)
            except BadQuery as error:
                fault = error
        return cls(topic, _text(fields, "id"), correlation, _text(fields, "correlation"), sender, fault)

    def refusal(self, error: InarvlError, *, resent: bool = False) -> Refusal:
        """Returns the reply that reports an error to this address."""
        return Refusal.of(error, query_id=self.query_id, resent=resent, correlation=self.mirror)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return str(value) if is_name(value) else None


def _claimed(fields: Mapping[str, Any]) -> str:
    client = _text(fields, "client")
    return client if client is not None and is_topic_level(client) else ANONYMOUS
