"""When the discovery message is published and removed, with a real mosquitto."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.config.home_assistant_settings import HomeAssistantSettings
from agent.daemon.store import Store
from agent.home_assistant.component import Component
from agent.home_assistant.publisher import DiscoveryPublisher, DiscoveryRefused
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics

pytestmark = pytest.mark.anyio

ON, OFF = HomeAssistantSettings(enabled=True), HomeAssistantSettings()
TOPIC = "homeassistant/device/inarvl_d/config"
LAMP = Component("lamp", "sensor", "Lamp", {"state_topic": "lamp"})


class Watcher:
    """Receives what Home Assistant receives."""

    def __init__(self, connection: MqttConnection) -> None:
        self.connection = connection
        self.messages: list[Message] = []
        self._newer = anyio.Event()

    async def receive(self) -> None:
        async for message in self.connection.messages():
            message.ack()
            self.messages.append(message)
            self._newer.set()

    async def next(self) -> Message:
        """The next message."""
        with anyio.fail_after(60):
            while not self.messages:
                await self._newer.wait()
                self._newer = anyio.Event()
            return self.messages.pop(0)

    async def components(self) -> dict[str, Any]:
        """The entities of the next message."""
        message = await self.next()
        assert message.topic == TOPIC
        entities: dict[str, Any] = json.loads(message.payload)["components"]
        return entities


@asynccontextmanager
async def watcher(port: int) -> AsyncIterator[Watcher]:
    options = MqttOptions("127.0.0.1", port, client_id="watcher")
    connection = MqttConnection(options, subscriptions=("+/device/#",))
    async with connection, anyio.create_task_group() as tasks:
        await connection.connected.wait()
        watching = Watcher(connection)
        tasks.start_soon(watching.receive)
        yield watching
        tasks.cancel_scope.cancel()


class Site:
    """A publisher whose entities a test changes."""

    def __init__(self, port: int, folder: Path, settings: HomeAssistantSettings, device: str = "d") -> None:
        self.cameras: list[Component] = []
        self.errors: list[tuple[str, str]] = []
        self.reported = anyio.Event()
        self.publisher = DiscoveryPublisher(
            settings,
            Topics(device),
            "generic",
            MqttOptions("127.0.0.1", port, client_id="agent"),
            Store(folder / "home_assistant.json"),
            cameras=lambda: self.cameras,
            report=self._report,
        )

    def _report(self, code: str, message: str) -> None:
        self.errors.append((code, message))
        self.reported.set()


@asynccontextmanager
async def running(*arguments: Any) -> AsyncIterator[Site]:
    site = Site(*arguments)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(site.publisher.run)
        yield site
        tasks.cancel_scope.cancel()


async def test_it_is_published_at_connect_birth_and_reconnect(broker: Any, tmp_path: Path) -> None:
    async with running(broker.port, tmp_path, ON), watcher(broker.port) as home:
        assert "mode" in await home.components()
        await home.connection.publish("homeassistant/status", b"offline", qos=1)
        await home.connection.publish("homeassistant/status", b"online", qos=1)
        assert "mode" in await home.components()
        broker.kill()
        broker.start()
        assert "mode" in await home.components()
        assert not any(message.payload == b"" for message in home.messages)


async def test_it_is_retained(broker: Any, tmp_path: Path) -> None:
    async with running(broker.port, tmp_path, ON), watcher(broker.port) as home:
        await home.next()
    async with watcher(broker.port) as home:
        message = await home.next()
        assert message.retain
        assert b"mode" in message.payload


async def test_entities_are_added_and_removed_on_reload(broker: Any, tmp_path: Path) -> None:
    async with running(broker.port, tmp_path, ON) as site, watcher(broker.port) as home:
        assert "lamp" not in await home.components()
        site.cameras = [LAMP]
        site.publisher.apply(ON)
        assert (await home.components())["lamp"]["unique_id"] == "inarvl_d_lamp"
        site.cameras = []
        site.publisher.apply(ON)
        assert (await home.components())["lamp"] == {"platform": "sensor"}
        site.publisher.observe({"spend": {"currency": "EUR"}})
        assert "spend" in await home.components()


async def test_an_entity_is_removed_after_the_agent_was_stopped(broker: Any, tmp_path: Path) -> None:
    async with watcher(broker.port) as home:
        async with running(broker.port, tmp_path, ON) as site:
            await home.next()
            site.cameras = [LAMP]
            site.publisher.apply(ON)
            await home.next()
        async with running(broker.port, tmp_path, ON):
            assert (await home.components())["lamp"] == {"platform": "sensor"}


async def test_the_device_is_removed_when_it_is_disabled_and_added_again(broker: Any, tmp_path: Path) -> None:
    async with running(broker.port, tmp_path, ON) as site, watcher(broker.port) as home:
        await home.next()
        site.publisher.apply(OFF)
        assert ((removed := await home.next()).topic, removed.payload) == (TOPIC, b"")
        site.publisher.apply(ON)
        assert "mode" in await home.components()
    async with watcher(broker.port) as home:
        assert (await home.next()).retain


async def test_the_device_is_removed_when_it_was_disabled_while_the_agent_was_stopped(
    broker: Any, tmp_path: Path
) -> None:
    async with watcher(broker.port) as home:
        async with running(broker.port, tmp_path, ON):
            await home.next()
        async with running(broker.port, tmp_path, OFF):
            assert ((removed := await home.next()).topic, removed.payload) == (TOPIC, b"")


@pytest.mark.parametrize(
    ("settings", "device", "topic"),
    [
        (ON.model_copy(update={"prefix": "ha"}), "d", "ha/device/inarvl_d/config"),
        (ON, "e", "homeassistant/device/inarvl_e/config"),
    ],
    ids=["prefix", "device"],
)
async def test_a_renamed_device_replaces_the_old_one(
    broker: Any, tmp_path: Path, settings: HomeAssistantSettings, device: str, topic: str
) -> None:
    async with watcher(broker.port) as home:
        async with running(broker.port, tmp_path, ON):
            await home.next()
        async with running(broker.port, tmp_path, settings, device):
            assert ((removed := await home.next()).topic, removed.payload) == (TOPIC, b"")
            message = await home.next()
            assert message.topic == topic
            assert {"platform": "sensor"} not in json.loads(message.payload)["components"].values()


async def test_nothing_is_published_while_it_is_disabled(broker: Any, tmp_path: Path) -> None:
    async with running(broker.port, tmp_path, OFF) as site, watcher(broker.port) as home:
        site.publisher.observe({"spend": {"currency": "EUR"}})
        site.publisher.apply(OFF)
        await home.connection.publish("homeassistant/status", b"online", qos=1)
        await home.connection.publish("x/device/end", b"end", qos=1)
        assert (await home.next()).payload == b"end"
    assert not (tmp_path / "home_assistant.json").exists()


async def test_a_refused_message_is_reported(broker: Any, tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic readwrite inarvl/#\ntopic read homeassistant/status\n")
    broker.kill()
    broker.configure(f"acl_file {tmp_path}/acl")
    broker.start()
    async with running(broker.port, tmp_path, ON) as site:
        with anyio.fail_after(60):
            await site.reported.wait()
    ((code, message),) = site.errors
    assert code == DiscoveryRefused.code
    assert "authorized" in message
