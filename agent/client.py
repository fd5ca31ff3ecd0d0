"""Sends queries to a running agent over the broker, and reads its status."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio

from agent.config.settings import Settings
from agent.messages.explanation import Explanation, explanation_from_bytes
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.names import is_topic_level
from agent.messages.query import Query
from agent.messages.reply import Refusal, Reply, reply_from_bytes
from agent.messages.seen_telemetry import telemetry_object
from agent.messages.topics import Topics
from inarvl.errors import InarvlError


class AgentSilent(InarvlError):
    """The broker or the agent did not answer in time."""

    code = "agent_silent"


@dataclass(frozen=True)
class Snapshot:
    """The retained messages of an agent; None for each that the broker does not have."""

    status: str | None
    mode: str | None
    telemetry: dict[str, Any] | None


async def ask(settings: Settings, query: Query, *, timeout_s: float) -> Reply:
    """Sends one query to the agent of `settings.device` and returns its reply.

    Raises:
        AgentSilent: no reply arrived within `timeout_s`.
        BadReply: what arrived is not a valid reply.
    """
    return reply_from_bytes(await _reply_to(settings, query, timeout_s))


async def explain(settings: Settings, query: Query, *, timeout_s: float) -> Explanation | Refusal:
    """Sends one query to the agent, which replies with what it would decide, if `query.dry_run` is set.

    Raises:
        AgentSilent, BadReply: as `ask`.
    """
    return explanation_from_bytes(await _reply_to(settings, query, timeout_s))


async def _reply_to(settings: Settings, query: Query, timeout_s: float) -> bytes:
    topics, user = Topics(settings.device), settings.broker.username
    if user is not None and is_topic_level(user):  # the broker lets this user ask under its own name
        asked, replies = topics.query_of(user), f"{topics.result(user)}/{query.client}"
    else:
        asked = topics.query if settings.intake.open_topic else topics.query_of(query.client)
        replies = topics.result(query.client)
    async with _connected(settings, (replies,), timeout_s) as connection:
        await connection.publish(asked, query.to_bytes(), qos=1, response_topic=replies, expiry_s=timeout_s)
        with anyio.move_on_after(timeout_s):
            async for message in connection.messages():
                message.ack()
                return message.payload
    raise AgentSilent(
        f"no answer within {timeout_s:.0f} s: is the agent of {settings.device!r} running? see inarvl status"
    )


async def status(settings: Settings, *, wait_s: float) -> Snapshot:
    """Reads the retained messages of the agent of `settings.device`, waiting up to `wait_s` for them.

    Raises:
        AgentSilent: the broker cannot be reached, or refuses the subscriptions.
        BadTelemetry: what is retained as telemetry is not a JSON object.
    """
    topics = Topics(settings.device)
    subscriptions = (topics.status, topics.mode_state, topics.telemetry)
    retained: dict[str, str] = {}
    async with _connected(settings, subscriptions, wait_s) as connection:
        with anyio.move_on_after(wait_s):
            async for message in connection.messages():
                message.ack()
                retained[message.topic] = message.payload.decode(errors="replace")
                if len(retained) == len(subscriptions):
                    break
    telemetry = retained.get(topics.telemetry)
    return Snapshot(
        retained.get(topics.status),
        retained.get(topics.mode_state),
        telemetry_object(telemetry) if telemetry else None,
    )


async def echo(settings: Settings, topic: str, payload: bytes, *, timeout_s: float) -> bool:
    """Returns whether a message to `topic` comes back from the broker.

    Raises:
        AgentSilent: the broker cannot be reached, or refuses the subscription.
        PublishRefused: the broker rejects the message.
    """
    async with _connected(settings, (topic,), timeout_s) as connection:
        with anyio.move_on_after(timeout_s):
            await connection.publish(topic, payload, qos=1)
            async for message in connection.messages():
                message.ack()
                if message.payload == payload:
                    return True
    return False


async def check_subscriptions(settings: Settings, *, timeout_s: float) -> None:
    """Subscribes as the agent of `settings.device` does.

    Raises:
        AgentSilent: the broker cannot be reached, or refuses a subscription.
    """
    topics = Topics(settings.device)
    async with _connected(settings, topics.received(open_topic=settings.intake.open_topic), timeout_s):
        pass


@asynccontextmanager
async def listening(
    settings: Settings, topics: tuple[str, ...], *, wait_s: float
) -> AsyncIterator[MqttConnection]:
    """Receives the messages on `topics`, those that the broker retains first.

    Raises:
        AgentSilent: the broker cannot be reached, or refuses the subscriptions.
    """
    async with _connected(settings, topics, wait_s) as connection:
        yield connection


@asynccontextmanager
async def _connected(
    settings: Settings, subscriptions: tuple[str, ...], timeout_s: float
) -> AsyncIterator[MqttConnection]:
    options = replace(settings.mqtt_options(f"inarvl-console-{uuid.uuid4().hex[:12]}"), keeps_session=False)
    async with MqttConnection(options, subscriptions=subscriptions) as connection:
        with anyio.move_on_after(timeout_s):
            await connection.tried.wait()
        if connection.problem is not None or not connection.connected.is_set():
            silence = f"no broker answers at {settings.broker.url}: is it running?"
            raise AgentSilent(connection.problem or silence)
        yield connection
