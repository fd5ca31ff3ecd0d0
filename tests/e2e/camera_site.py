"""A real broker and agent whose cameras a test changes, and a scripted model that a test can hold."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import numpy as np
import yaml
from aiohttp import web
from PIL import Image

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from lab.rig.mock_model_server import MockAnswer, MockModelServer
from product import Product

WAIT_S = 60.0


def picture(number: int) -> bytes:
    """A picture whose upper row of 8 parts shows `number`, on a pattern that depends on it."""
    parts = np.random.default_rng(number).integers(0, 2, (8, 8))
    parts[0] = [number >> bit & 1 for bit in range(8)]
    file = io.BytesIO()
    Image.fromarray((parts * 255).astype(np.uint8)).resize((64, 64), Image.Resampling.NEAREST).save(
        file, "JPEG", quality=95
    )
    return file.getvalue()


def number_in(data: bytes) -> int:
    """The number that a picture shows."""
    with Image.open(io.BytesIO(data)) as image:
        row = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX))[0]
    return sum(1 << bit for bit in range(8) if row[bit] > 127)


@dataclass
class CameraSite:
    """The running site.

    Attributes:
        seen: the numbers in the pictures of each question that the model got.
        open: the model answers while this is set.
        answers: what was published below `inarvl/<device>/camera/`, by topic.
        events: the events about cameras.
        cameras: the reports in the latest telemetry, by name.
    """

    product: Product
    connection: MqttConnection
    seen: list[tuple[int, ...]] = field(default_factory=list)
    open: anyio.Event = field(default_factory=anyio.Event)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    cameras: dict[str, dict[str, Any]] = field(default_factory=dict)
    reloads: int = 0

    async def receive(self) -> None:
        """Sorts the received messages, until cancelled."""
        topics = self.product.topics
        async for message in self.connection.messages():
            message.ack()
            content = json.loads(message.payload)
            if message.topic == topics.event:
                self.events += [content] if content["event"] == "camera" else []
                self.reloads += content["event"] == "reload"
            elif message.topic == topics.telemetry:
                self.cameras = {camera["camera"]: camera for camera in content["cameras"]}
            else:
                self.answers.setdefault(message.topic, []).append(content)

    def forget(self) -> None:
        """Forgets what was received so far."""
        for received in (self.seen, self.answers, self.events):
            received.clear()

    def topic(self, camera: str, question: str) -> str:
        return self.product.topics.camera_answer(camera, question)

    async def watch(self, cameras: dict[str, Any], **site: Any) -> None:
        """Writes the cameras into the site file, reloads it, and waits until they are watched."""
        content = yaml.safe_load(self.product.config.read_text())
        self.product.config.write_text(yaml.safe_dump(content | {"cameras": cameras} | site))
        before = self.reloads
        os.kill(self.product.services["agent"]._process.pid, signal.SIGHUP)
        await self.until(lambda: self.reloads > before)
        await self.until(lambda: self.cameras.keys() == cameras.keys())

    async def publish(self, topic: str, *numbers: int) -> None:
        for number in numbers:
            await self.connection.publish(topic, picture(number), qos=1)

    async def publish_until(self, topic: str, number: int, done: Any) -> None:
        """Publishes a picture until `done`: before the camera has subscribed, the broker drops it."""
        with anyio.fail_after(WAIT_S):
            while not done():
                await self.publish(topic, number)
                await anyio.sleep(0.2)

    async def until(self, done: Any) -> None:
        with anyio.fail_after(WAIT_S):
            while not done():  # noqa: ASYNC110
                await anyio.sleep(0.05)


@asynccontextmanager
async def camera_site(product: Product) -> AsyncIterator[CameraSite]:
    """Connects to a running product without model servers, and runs a scripted one."""
    topics = product.topics
    connection = MqttConnection(
        MqttOptions("127.0.0.1", product.port, client_id="watcher"),
        subscriptions=(f"inarvl/{topics.device}/camera/#", topics.event, topics.telemetry),
    )
    async with connection, anyio.create_task_group() as tasks:
        await connection.connected.wait()
        site = CameraSite(product, connection)
        site.open.set()

        def script(images: Sequence[bytes]) -> MockAnswer:
            site.seen.append(tuple(map(number_in, images)))
            return MockAnswer("yes", 0.9)

        async def hold(site: CameraSite, _seconds: float) -> None:
            await site.open.wait()

        server = MockModelServer(
            "mock", 1.0, 0.0, 8, np.random.default_rng(0), script=script, sleep=partial(hold, site)
        )
        runner = web.AppRunner(server.app(), access_log=None)
        await runner.setup()
        socket = product.folder / "vlm.sock"
        socket.unlink(missing_ok=True)
        await web.UnixSite(runner, str(socket)).start()
        tasks.start_soon(site.receive)
        yield site
        tasks.cancel_scope.cancel()
    await runner.cleanup()
