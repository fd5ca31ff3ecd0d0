"""How a received query stands in the spool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from agent.intake.content import content_digest, invalid_digest
from agent.intake.intake import TimeLimit
from agent.intake.query_reader import ReadQuery
from agent.intake.request import party_of
from agent.intake.uptime import Uptime
from agent.messages.mqtt_message import Message
from agent.messages.names import is_name
from agent.messages.query import Query
from agent.spool.spool import SpoolEntry


def query_entry(
    key: str, message: Message, read: ReadQuery, limit: TimeLimit, *, received_ms: int, uptime: Uptime | None
) -> SpoolEntry:
    """Returns the entry of a message, with all that a later run needs to answer it.

    Args:
        key: see `query_key`.
        received_ms: the wall clock at its arrival, in ms since 1970.
    """
    query, address = read.query, read.address
    valid = isinstance(query, Query)
    attributes = {
        "client": read.client,
        "query_id": address.query_id,
        "mirror": address.mirror,
        "fault": None if isinstance(query, Query) else [query.code, str(query)],
        "user": dict(message.user) if valid else {},
        "content": content_digest(query) if isinstance(query, Query) else invalid_digest(message.payload),
        "packet": message.packet,
        "uptime": None if uptime is None else uptime.to_json(),
    }
    return SpoolEntry(
        key=key,
        received_ms=received_ms,
        expires_ms=received_ms + int(max(0.0, limit.left_ms)),
        reply_topic=address.topic,
        correlation=address.correlation,
        payload=message.payload if valid else b"",
        attributes=json.dumps(attributes),
    )


def attributes_of(text: str) -> Mapping[str, Any]:
    """Returns the attributes of an entry; none if the disk has damaged them."""
    try:
        attributes = json.loads(text)
    except ValueError:
        return {}
    return attributes if isinstance(attributes, dict) else {}


def query_key(message: Message, read: ReadQuery) -> str:
    """Returns a key that a redelivery shares: from the sender's id, else from content and packet number.

    Its first line is the party that the entry belongs to. A client that the broker vouches for shares no key
    with another one, and neither do claimed names or reply topics.
    """
    address = read.address
    party = party_of(address.client, verified=read.verified and is_name(address.client))
    if address.query_id is not None:
        return f"{party}\n{address.client}\n{address.topic}\n{address.query_id}"
    sender = (address.client.encode(), address.topic.encode(), address.correlation or b"", message.payload)
    return f"{party}\n{hashlib.sha256(bytes(1).join(sender)).hexdigest()}#{message.packet}"
