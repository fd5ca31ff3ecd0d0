"""Reads a message as a query, and finds out who asks and where the reply goes, also if it is invalid.

1. On `query/<client>` the topic names the client, because the broker lets only this client publish there. On
   the open topic the name in the query is a claim.
2. A reply topic that is not allowed makes the query invalid: the error goes to the client's default topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.intake.intake import Intake
from agent.intake.quarantine import Quarantine, SetAside
from agent.messages.address import Address
from agent.messages.mqtt_message import Message
from agent.messages.names import MAX_LENGTH, is_name
from agent.messages.oversize import address_fields
from agent.messages.payload import read_payload
from agent.messages.query import BadQuery, Query
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from inarvl.door import Door


@dataclass(frozen=True)
class ReadQuery:
    """What a message says.

    Attributes:
        query: or what is wrong with it.
        client: the client on whose own topic it arrived; None on the open topic.
    """

    address: Address
    query: Query | BadQuery
    client: str | None

    @property
    def verified(self) -> bool:
        """Whether the broker vouches for `address.client`."""
        return self.client is not None


class QueryReader:
    """Reads messages within the limits of the intake."""

    def __init__(
        self, topics: Topics, rules: ReplyRules, intake: Intake, quarantine: Quarantine, guard: Door
    ) -> None:
        self._topics = topics
        self._rules = rules
        self._intake = intake
        self._quarantine = quarantine
        self._guard = guard

    async def read(self, message: Message) -> ReadQuery:
        """Reads a message; one at which the agent crashed twice is not read but set aside."""
        client = self._topics.client_of(message.topic)
        fields: Mapping[str, Any]
        try:
            fields, query = await self._quarantine.read(message, self._read)
        except SetAside as error:
            fields, query = {}, error
        address = Address.of(
            fields,
            self._rules,
            client=client,
            response=message.response_topic,
            correlation=message.correlation,
        )
        return ReadQuery(address, address.fault or query, client)

    def _read(self, message: Message) -> tuple[Mapping[str, Any], Query | BadQuery]:
        most = self._intake.max_payload_bytes
        if message.oversized:
            return message.user, BadQuery("too_large", "the query has too many user properties: send fewer")
        if len(message.payload) > most:
            fault = BadQuery("too_large", f"the query has over {most} bytes: send a smaller image")
            return {**address_fields(message.payload), **message.user}, fault
        with self._guard.guard("a query"):
            client = self._topics.client_of(message.topic)
            return self._counted(*parsed_query(message.payload, message.user, client))
        return message.user, BadQuery("internal", "the agent failed on this query: see its log")

    def _counted(
        self, fields: Mapping[str, Any], query: Query | BadQuery
    ) -> tuple[Mapping[str, Any], Query | BadQuery]:
        """Replaces a query with too many images by what is wrong with it."""
        most = self._intake.max_images
        if isinstance(query, Query) and len(query.sources) > most:
            found = f"the query has {len(query.sources)} images, and this agent accepts {most}"
            return fields, BadQuery("too_many_images", f"{found}: send fewer, or raise intake.max_images")
        return fields, query


def parsed_query(
    payload: bytes, user: Mapping[str, str], client: str | None
) -> tuple[Mapping[str, Any], Query | BadQuery]:
    """Returns the fields of a payload that can be read, and the query or what is wrong with it.

    Args:
        client: the client on whose own topic it arrived, whatever the payload says.
    """
    fields: Mapping[str, Any] = user
    try:
        fields, image = read_payload(payload, user)
        if client is None:
            return fields, Query.from_fields(fields, image)
        if not is_name(client):
            raise BadQuery(
                "bad_field",
                f"the client in the topic is invalid: use 1 to {MAX_LENGTH} printable characters",
            )
        return fields, Query.from_fields({**fields, "client": client}, image)
    except BadQuery as fault:
        return fields, fault
