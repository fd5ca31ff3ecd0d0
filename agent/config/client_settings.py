"""Sections of the site file about clients: how much each may ask, and where replies may go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from agent.config.yaml_file import Section
from agent.messages.names import MAX_LENGTH, is_name, is_topic_level
from agent.messages.query import MAX_PRIORITY, BadQuery, response_topic

EVERYBODY = "*"


def _as_topic_level(name: str) -> str:
    """Returns `name` if it may be a level of a topic.

    Raises:
        ValueError: it may not.
    """
    if not is_name(name) or not is_topic_level(name):
        raise ValueError(f"must be 1 to {MAX_LENGTH} printable characters without / # or +")
    return name


TopicLevel = Annotated[str, AfterValidator(_as_topic_level)]


def _as_reply_topic(topic: str) -> str:
    topic = topic.removesuffix("/")
    try:
        response_topic(topic)
    except BadQuery as error:
        raise ValueError(str(error)) from None
    return topic


class Replies(Section):
    """Where replies may go.

    Attributes:
        allow: topics beside the agent's own ones for results; each allows what is below it too.
    """

    allow: tuple[Annotated[str, AfterValidator(_as_reply_topic)], ...] = ()


class ClientLimits(Section):
    """What one client may ask.

    Attributes:
        max_priority: higher priorities count as this one.
        per_minute: queries, on average; None for no limit.
        burst: queries at once, before `per_minute` limits them.
    """

    max_priority: int = Field(MAX_PRIORITY, ge=0, le=MAX_PRIORITY)
    per_minute: float | None = Field(None, gt=0, le=60_000)
    burst: int = Field(10, ge=1, le=100_000)


Clients = dict[TopicLevel, ClientLimits]


def limits_of(clients: Mapping[str, ClientLimits], name: str, *, verified: bool) -> ClientLimits:
    """Returns the limits of a client: its own ones, else those of `"*"`.

    A name that is only claimed never gets more than `"*"` allows, because anybody may claim it.
    """
    common = clients.get(EVERYBODY, ClientLimits())
    own = clients.get(name, common)
    return own if verified else _stricter(own, common)


def _stricter(one: ClientLimits, other: ClientLimits) -> ClientLimits:
    rates = [limits.per_minute for limits in (one, other) if limits.per_minute is not None]
    return ClientLimits(
        max_priority=min(one.max_priority, other.max_priority),
        per_minute=min(rates) if rates else None,
        burst=min(one.burst, other.burst),
    )
