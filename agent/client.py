"""Talking to a running agent from a terminal, over the same broker as everybody else."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from agent.config.settings import Settings
from agent.messages.mqtt import MqttConnection
from agent.messages.query import Query
from agent.messages.reply import Reply, reply_from_bytes
from agent.messages.topics import Topics
from inarvl.errors import InarvlError


class AgentSilent(InarvlError):
    """No broker or no agent answered in time."""

    code = "agent_silent"


@dataclass(frozen=True)
class Snapshot:
    """What an agent has retained on the broker: `status` is None when it was never there."""

    status: str | None
    mode: str | None
    telemetry: dict[str, Any] | None


async def ask(settings: Settings, query: Query, *, timeout_s: float) -> Reply:
    """Send one query to the agent of `settings.device` and wait for its reply.

    Raises:
        AgentSilent: none came within `timeout_s`.
    """
    topics = Topics(settings.device)
    answers = f"inarvl/{settings.device}/result/{query.client}"
    async with _connected(settings, (answers,), timeout_s) as link:
        await link.publish(topics.query, query.to_bytes(), qos=1)
        with anyio.move_on_after(timeout_s):
            async for message in link.messages():
                message.ack()
                return reply_from_bytes(message.payload)
    raise AgentSilent(
        f"no answer within {timeout_s:.0f} s: is the agent of {settings.device!r} running? try inarvl status"
    )


async def status(settings: Settings, *, wait_s: float) -> Snapshot:
    """What the agent of `settings.device` says of itself.

    Raises:
        AgentSilent: the broker cannot be reached.
    """
    topics = Topics(settings.device)
    wanted = (topics.status, topics.mode_state, topics.telemetry)
    held: dict[str, str] = {}
    async with _connected(settings, wanted, wait_s) as link:
        with anyio.move_on_after(wait_s):
            async for message in link.messages():
                message.ack()
                held[message.topic] = message.payload.decode(errors="replace")
                if len(held) == len(wanted):
                    break
    telemetry = held.get(topics.telemetry)
    return Snapshot(
        held.get(topics.status), held.get(topics.mode_state), json.loads(telemetry) if telemetry else None
    )


async def echo(settings: Settings, word: str, *, timeout_s: float) -> bool:
    """Whether a message to a topic of this device's own comes back through the broker.

    Raises:
        AgentSilent: the broker cannot be reached.
    """
    topic = f"inarvl/{settings.device}/result/{word}"
    async with _connected(settings, (topic,), timeout_s) as link:
        with anyio.move_on_after(timeout_s):
            await link.publish(topic, word.encode(), qos=1)
            async for message in link.messages():
                message.ack()
                return message.payload == word.encode()
    return False


@asynccontextmanager
async def _connected(
    settings: Settings, subscriptions: tuple[str, ...], timeout_s: float
) -> AsyncIterator[MqttConnection]:
    options = settings.mqtt_options(f"inarvl-console-{uuid.uuid4().hex[:12]}")
    async with MqttConnection(options, subscriptions=subscriptions) as link:
        with anyio.move_on_after(timeout_s):
            await link.connected.wait()
        if not link.connected.is_set():
            raise AgentSilent(f"no broker answers at {settings.broker.url}: is it running?")
        yield link
