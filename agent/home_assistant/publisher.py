"""Publishes the discovery message, and removes it.

1. While it is enabled, the message is published, retained, at every connect, whenever Home Assistant has
   started (its birth message), and when an entity is added or removed.
2. What was announced is stored before it is published. Once it is disabled, on reload or while the agent
   was stopped, an empty retained message replaces it: Home Assistant then removes the device.
3. If the prefix or the name of the device changes, the old message is removed in the same way.
4. It has its own connection, only while there is something to publish or to remove. A topic that the broker
   refuses disturbs nothing else, and is reported.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import anyio
from anyio import to_thread

from agent.config.home_assistant_settings import HomeAssistantSettings
from agent.home_assistant.announced import Announced
from agent.home_assistant.board import Reported, board_components
from agent.home_assistant.component import Component
from agent.home_assistant.discovery import discovery_message, discovery_topic
from agent.messages.deliveries import DisconnectedTwice, PublishRefused
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.packet_limit import PacketTooLarge
from agent.messages.topics import Topics
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

ONLINE = b"online"


class DiscoveryRefused(InarvlError):
    """The broker refuses the discovery message or the birth topic."""

    code = "home_assistant_refused"


class Storage(Protocol):
    """Stores what was announced."""

    def save(self, content: dict[str, Any]) -> None:
        """Stores it; raises InarvlError if it cannot."""

    def load(self, accept: Callable[[dict[str, Any]], None]) -> object:
        """Passes what was stored to `accept`."""


class DiscoveryPublisher:
    """Announces one device to Home Assistant.

    Args:
        model: of the board.
        options: of the agent's connection to the broker.
        cameras: returns the entities of cameras and standing questions.
        pictures: publishes pictures with the connection that it gets, until cancelled.
        report: publishes an error, by its code and message.
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        topics: Topics,
        model: str,
        options: MqttOptions,
        store: Storage,
        *,
        cameras: Callable[[], Iterable[Component]] = tuple,
        pictures: Callable[[MqttConnection], Coroutine[Any, Any, None]] | None = None,
        report: Callable[[str, str], None],
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._model = model
        self._options = replace(options, client_id=f"{options.client_id}-home-assistant", keeps_session=False)
        self._store = store
        self._cameras = cameras
        self._pictures = pictures
        self._report = report
        self._reported = Reported()
        self._announced: Announced | None = None
        self._problem: str | None = None
        self._changed = anyio.Event()

    def apply(self, settings: HomeAssistantSettings) -> None:
        """Applies changed settings, and changed cameras."""
        self._settings = settings
        self._changed.set()

    def observe(self, telemetry: Mapping[str, Any]) -> None:
        """Adds the entities for which the telemetry has values, and removes the others."""
        reported = Reported.of(telemetry)
        if reported != self._reported:
            self._reported = reported
            self._changed.set()

    async def run(self) -> None:
        """Publishes until cancelled."""
        self._store.load(self._restore)
        while True:
            self._changed = anyio.Event()
            if self._needs_connection:
                await self._publish_with_one_connection()
            else:
                await self._changed.wait()

    @property
    def _needs_connection(self) -> bool:
        return self._settings.enabled or self._announced is not None

    @property
    def _birth_topics(self) -> tuple[str, ...]:
        return (self._settings.birth_topic,) if self._settings.enabled else ()

    async def _publish_with_one_connection(self) -> None:
        birth = self._birth_topics
        async with (
            MqttConnection(self._options, subscriptions=birth) as mqtt,
            anyio.create_task_group() as tasks,
        ):
            mqtt.when_connected(partial(self._connected, mqtt))
            tasks.start_soon(self._receive, mqtt)
            if self._pictures is not None and self._settings.enabled:
                tasks.start_soon(self._pictures, mqtt)
            while self._needs_connection and self._birth_topics == birth:
                await self._changed.wait()
                self._changed = anyio.Event()
                await self._publish(mqtt)
            tasks.cancel_scope.cancel()

    def _connected(self, mqtt: MqttConnection) -> None:
        if mqtt.problem is not None:
            self._refused(mqtt.problem)
        self._changed.set()

    async def _receive(self, mqtt: MqttConnection) -> None:
        async for message in mqtt.messages():
            message.ack()
            if message.payload == ONLINE:
                self._changed.set()

    async def _publish(self, mqtt: MqttConnection) -> None:
        try:
            topic = self._topic
            if self._announced is not None and self._announced.topic != topic:
                await mqtt.publish(self._announced.topic, b"", qos=1, retain=True)
                await self._remember(None)
            if topic is not None:
                await self._announce(mqtt, topic)
            self._problem = mqtt.problem
        except (PacketTooLarge, PublishRefused, DisconnectedTwice) as error:
            self._refused(f"the broker refuses the discovery message of Home Assistant: {error}")

    @property
    def _topic(self) -> str | None:
        settings = self._settings
        return discovery_topic(settings.prefix, self._topics.device) if settings.enabled else None

    async def _announce(self, mqtt: MqttConnection, topic: str) -> None:
        components = [*board_components(self._topics, self._reported), *self._cameras()]
        before = self._announced or Announced(topic)
        await self._remember(before.followed_by(components))
        message = discovery_message(self._topics, self._model, components, before.removed(components))
        await mqtt.publish(topic, json.dumps(message).encode(), qos=1, retain=True)

    def _restore(self, content: dict[str, Any]) -> None:
        self._announced = Announced.from_json(content) if content else None

    async def _remember(self, announced: Announced | None) -> None:
        if announced == self._announced:
            return
        self._announced = announced
        content = {} if announced is None else announced.to_json()
        try:
            await to_thread.run_sync(self._store.save, content)
        except InarvlError as error:
            log.error("what was announced to Home Assistant is lost when the agent restarts: %s", error)

    def _refused(self, problem: str) -> None:
        """Reports a problem once, until publishing works again."""
        if problem != self._problem:
            self._problem = problem
            log.error("%s", problem)
            self._report(DiscoveryRefused.code, problem)
