"""The whole product on one machine: real broker, models and zeroconf, and the agent as a process."""

from __future__ import annotations

import io
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import yaml

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.reply import Reply, reply_from_bytes
from agent.messages.topics import Topics
from agent.standalone.broker import broker, free_port
from agent.standalone.service_process import ServiceProcess
from lab.scenes.question import ask
from lab.scenes.render import render
from lab.scenes.scene import draw
from vlm import bundled

DEVICE = "e2e"
START_S = 120.0
REPLY_S = 60.0
KEYS = {"front-door": "key-of-the-front-door", "bedroom": "key-of-the-bedroom"}  # for HTTP, by client


def jpeg(seed: int = 0) -> tuple[bytes, str]:
    """A drawn scene as JPEG, and a question about it."""
    rng = np.random.default_rng(seed)
    scene = draw(rng)
    file = io.BytesIO()
    render(scene).save(file, "JPEG", quality=92)
    return file.getvalue(), ask(scene, rng, 1)[0].text


@dataclass
class Product:
    """The running services, each of which a test may stop and start again.

    Attributes:
        folder: sockets, logs, the site file and what the agent saves.
        port: the broker's.
        peer_port: the cloud peer's.
        services: by name: `vlm` or `mock`, `cloud`, and `agent`.
        site: more settings for the site file.
        has_peer: whether the agent looks for a cloud peer.
    """

    folder: Path
    port: int
    peer_port: int
    services: dict[str, ServiceProcess] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    has_peer: bool = True

    @property
    def topics(self) -> Topics:
        return Topics(DEVICE)

    @property
    def peer(self) -> str:
        return f"{DEVICE}-{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "agent.yaml"

    def configure(self) -> None:
        """Write the site file, and a profile with frequent telemetry."""
        profile = {"name": "quick", "extends": "generic-x86", "rates": {"telemetry_s": 0.5}}
        (self.folder / "quick.yaml").write_text(yaml.safe_dump(profile))
        site = {
            "device": DEVICE,
            "broker": {"url": f"mqtt://127.0.0.1:{self.port}"},
            "local": f"unix:{self.folder}/vlm.sock",
            "state_dir": str(self.folder),
            "image_roots": [str(self.folder / "images")],
            "profile": str(self.folder / "quick.yaml"),
            "intake": {"max_payload_bytes": 200_000},
            **self.site,
        }
        # All parts are on this machine, without TLS. What needs no peer finds none of another run either.
        site["discovery"] = {"trust": "any", "zeroconf": self.has_peer, **self.site.get("discovery", {})}
        self.config.write_text(yaml.safe_dump(site))

    def start(self, name: str) -> ServiceProcess:
        """Start a service without waiting until it is ready."""
        edge, cloud = (
            " ".join(f"--model bundled:{model}" for model in bundled.names() if tier in model)
            for tier in ("edge", "cloud")
        )
        socket, address = f"unix:{self.folder}/vlm.sock", f"127.0.0.1:{self.peer_port}"
        command = {
            "mock": f"python -m lab.rig.mock_model_server --listen {socket} --model mock --ms 20",
            "vlm": f"inarvl-vlm serve --threads 1 {edge} --listen {socket}",
            "cloud": f"inarvl-cloud serve --threads 1 {cloud} --listen {address} --id {self.peer}",
            "agent": f"inarvl run --config {self.config}",
        }[name].split()
        tool = str(Path(sys.executable).with_name(command[0]))
        service = ServiceProcess(name, [tool, *command[1:]], self.folder)
        self.services[name] = service
        return service

    async def online(self) -> None:
        """Wait until the agent accepts questions: before its first subscription the broker drops them."""
        async with self.client() as client:
            while (await client.receive(self.topics.status)).payload != b"online":
                pass

    @asynccontextmanager
    async def client(self, protocol: str = "5", *, also: str | None = None) -> AsyncIterator[Client]:
        """Connect a client that receives its own replies, the agent's status, and the topic `also`."""
        answers = self.topics.result(uuid.uuid4().hex)
        connection = MqttConnection(
            MqttOptions("127.0.0.1", self.port, client_id=answers[-12:], protocol=protocol),
            subscriptions=(answers, self.topics.status, *([also] if also else [])),
        )
        async with connection:
            await connection.connected.wait()
            yield Client(self, connection, answers)


@contextmanager
def running_product(
    folder: Path, models: tuple[str, ...] = ("vlm", "cloud"), **site: Any
) -> Iterator[Product]:
    """Run a broker, the named model servers and the agent, all ready, and stop them afterwards."""
    with broker(folder) as (_, port):
        product = Product(folder, port, free_port(), site=site, has_peer="cloud" in models)
        product.configure()
        try:
            for server in [product.start(name) for name in models]:
                server.wait_ready(START_S, lambda _status: None)
            product.start("agent").wait_ready(START_S, lambda _status: None)
            anyio.run(product.online)
            yield product
        finally:
            for service in product.services.values():
                service.stop()


@dataclass
class Client:
    """A camera or robot that sends questions to the agent.

    Attributes:
        answers: the topic on which its replies arrive.
    """

    product: Product
    connection: MqttConnection
    answers: str

    async def ask(self, fields: dict[str, str], image: bytes) -> Reply:
        """Send an image with `fields` as user properties and wait for the reply."""
        query = self.product.topics.query
        await self.connection.publish(query, image, qos=1, response_topic=self.answers, user=fields)
        return await self.reply()

    async def reply(self) -> Reply:
        """Wait for the next reply."""
        return reply_from_bytes((await self.receive(self.answers)).payload)

    async def receive(self, topic: str) -> Message:
        """Wait for the next message on `topic`."""
        with anyio.fail_after(REPLY_S):
            async for message in self.connection.messages():
                message.ack()
                if message.topic == topic:
                    return message
        raise AssertionError("unreachable")
