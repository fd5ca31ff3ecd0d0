"""The whole product on this machine: real broker, models and zeroconf, and the agent as it is installed."""

from __future__ import annotations

import io
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import numpy as np

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.reply import Reply, reply_from_bytes
from agent.messages.topics import Topics
from lab.rig.service_process import ServiceProcess as Service
from lab.scenes.question import ask
from lab.scenes.render import render
from lab.scenes.scene import draw
from vlm import bundled

START_S = 120.0
REPLY_S = 30.0


def jpeg(seed: int = 0) -> tuple[bytes, str]:
    """An encoded drawn scene with a question about it."""
    rng = np.random.default_rng(seed)
    scene = draw(rng)
    file = io.BytesIO()
    render(scene).save(file, "JPEG", quality=92)
    return file.getvalue(), ask(scene, rng, 1)[0].text


@dataclass
class Product:
    """Everything that runs, each part of which a test may stop and start again."""

    folder: Path
    port: int
    peer_port: int
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def topics(self) -> Topics:
        return Topics("e2e")

    @property
    def peer(self) -> str:
        return f"e2e-{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "agent.yaml"

    def start(self, name: str) -> Service:
        edge, cloud = (
            " ".join(f"--model bundled:{known}" for known in bundled.names() if tier in known)
            for tier in ("edge", "cloud")
        )
        socket, address = f"unix:{self.folder}/vlm.sock", f"127.0.0.1:{self.peer_port}"
        command = {
            "vlm": f"inarvl-vlm serve --threads 1 {edge} --listen {socket}",
            "cloud": f"inarvl-cloud serve --threads 1 {cloud} --listen {address} --id {self.peer}",
            "agent": f"inarvl run --config {self.config}",
        }[name].split()
        tool = str(Path(sys.executable).with_name(command[0]))
        service = Service(name, [tool, *command[1:]], self.folder)
        self.services[name] = service
        return service

    async def online(self) -> None:
        """Wait until the agent takes questions: the broker keeps none for one that never subscribed."""
        async with self.client() as client:
            while (await client.receive(self.topics.status)).payload != b"online":
                pass

    @asynccontextmanager
    async def client(self, protocol: str = "5") -> AsyncIterator[Client]:
        answers = f"e2e/{uuid.uuid4().hex}"
        link = MqttConnection(
            MqttOptions("127.0.0.1", self.port, client_id=answers[-12:], protocol=protocol),
            subscriptions=(answers, self.topics.status),
        )
        async with link:
            await link.connected.wait()
            yield Client(self, link, answers)


@dataclass
class Client:
    """A camera or robot that talks to the agent."""

    product: Product
    link: MqttConnection
    answers: str

    async def ask(self, fields: dict[str, str], image: bytes) -> Reply:
        """Send a raw image with user properties; wait for the reply."""
        query = self.product.topics.query
        await self.link.publish(query, image, qos=1, response_topic=self.answers, user=fields)
        return await self.reply()

    async def reply(self) -> Reply:
        return reply_from_bytes((await self.receive(self.answers)).payload)

    async def receive(self, topic: str) -> Message:
        with anyio.fail_after(REPLY_S):
            async for message in self.link.messages():
                message.ack()
                if message.topic == topic:
                    return message
        raise AssertionError("unreachable")
