"""A complete deployment on this machine: a real broker and agent, and model servers that can be killed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.messages.topics import Topics
from agent.standalone.broker import Mosquitto, free_port
from agent.standalone.service_process import ServiceProcess

DEVICE = "rig"
TOPICS = Topics(DEVICE)
START_S = 240.0
CLOUD = "cloud"
AGENT = "agent.cli.main"


@dataclass(frozen=True)
class NetworkLayout:
    """Addresses and ports of the parts.

    Attributes:
        address: Of the broker and the cloud peer, as the board sees them.
        board_prefix: Prefix of a command that runs it on the board, such as in a network namespace.
    """

    address: str = "127.0.0.1"
    board_prefix: tuple[str, ...] = ()
    broker_port: int = field(default_factory=free_port)
    cloud_port: int = field(default_factory=free_port)


@dataclass(frozen=True)
class MockTimes:
    """Response times of the mock model servers.

    Attributes:
        edge_ms, cloud_ms: Medians.
        cloud_slots: Requests that the cloud answers at the same time.
    """

    edge_ms: float = 60.0
    cloud_ms: float = 80.0
    cloud_slots: int = 2

    @property
    def capacity(self) -> float:
        """Answers per second if no server ever waits for a request."""
        return 1e3 / self.edge_ms + self.cloud_slots * 1e3 / self.cloud_ms


@dataclass
class Deployment:
    """A broker, and the services "edge", "cloud", "agent" and, if `announced`, "announcer".

    The agent trusts every discovered peer, without TLS: all parts are on this machine.

    Attributes:
        folder: All that the parts write.
        settings: Added to the agent's configuration.
        edge_command, cloud_command: Replace the mock model servers.
        durable: The broker writes every change to the disk immediately, so that it can be killed.
        announced: The agent finds the cloud peer by zeroconf, on the layout's address alone, and not in its
            configuration.
        services: The services that were started.
    """

    folder: Path
    layout: NetworkLayout = field(default_factory=NetworkLayout)
    mock_times: MockTimes = MockTimes()
    settings: Mapping[str, Any] = field(default_factory=dict)
    edge_command: tuple[str, ...] | None = None
    cloud_command: tuple[str, ...] | None = None
    agent_module: str = AGENT
    durable: bool = False
    announced: bool = False
    services: dict[str, ServiceProcess] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broker = Mosquitto(
            self.folder / "broker",
            self.layout.broker_port,
            address=self.layout.address,
            durable=self.durable,
        )

    def start_all(self) -> None:
        """Starts everything and returns when it is ready."""
        self.state.mkdir(parents=True, exist_ok=True)
        self._write_config()
        self.broker.start()
        for name in ("edge", "cloud", *(("announcer",) if self.announced else ()), "agent"):
            self.start(name)
            self.wait_ready(name)

    def stop_all(self) -> None:
        """Stops everything, the agent first."""
        for name in ("agent", "announcer", "cloud", "edge"):
            if name in self.services:
                self.services.pop(name).stop()
        self.broker.kill()

    @property
    def state(self) -> Path:
        """The agent's state directory."""
        return self.folder / "state"

    @property
    def cloud_url(self) -> str:
        """The cloud peer's URL."""
        return f"http://{self.layout.address}:{self.layout.cloud_port}"

    def start(self, name: str) -> None:
        """Starts a service without waiting for it."""
        commands = {
            "edge": self._edge,
            "cloud": self._cloud,
            "announcer": self._announcer,
            "agent": self._agent,
        }
        self.services[name] = ServiceProcess(name, commands[name](), self.folder)

    def wait_ready(self, name: str) -> None:
        """Returns when a service is ready."""
        self.services[name].wait_ready(START_S, lambda _status: None)

    def stop(self, name: str) -> None:
        """Stops a service as systemd does."""
        self.services[name].stop()

    def kill(self, name: str) -> None:
        """Kills a service, as a crash would."""
        self.services[name].kill()

    def _write_config(self) -> None:
        peer = {"id": CLOUD, "url": self.cloud_url, "allow_plaintext": True}
        settings = {
            "device": DEVICE,
            "broker": {"url": f"mqtt://{self.layout.address}:{self.layout.broker_port}"},
            "local": f"unix:{self.folder}/edge.sock",
            "peers": [] if self.announced else [peer],
            "discovery": {"zeroconf": self.announced, "trust": "any"},
            "state_dir": str(self.state),
            "profile": "generic-x86",
        }
        (self.folder / "agent.yaml").write_text(yaml.safe_dump({**settings, **self.settings}))

    def _agent(self) -> list[str]:
        run = [*program(self.agent_module), "run", "--config", str(self.folder / "agent.yaml")]
        return [*self.layout.board_prefix, *run]

    def _edge(self) -> list[str]:
        listen = f"unix:{self.folder}/edge.sock"
        if self.edge_command is not None:
            return [*self.layout.board_prefix, *self.edge_command, "--listen", listen]
        return [*_mock_server("edge", listen), "--ms", f"{self.mock_times.edge_ms}"]

    def _cloud(self) -> list[str]:
        listen = f"{self.layout.address}:{self.layout.cloud_port}"
        if self.cloud_command is not None:
            return [*self.cloud_command, "--listen", listen]
        times = ("--ms", f"{self.mock_times.cloud_ms}", "--slots", f"{self.mock_times.cloud_slots}")
        return [*_mock_server("cloud", listen), *times]

    def _announcer(self) -> list[str]:
        announce = ("announce", "--url", self.cloud_url, "--id", CLOUD, "--interface", self.layout.address)
        return [*program("cloud.cli"), *announce]


def program(module: str) -> tuple[str, ...]:
    """Returns the start of a command that runs a module's `app`, with the same code as this process."""
    return (sys.executable, "-c", f"from {module} import app; app()")


def _mock_server(model: str, listen: str) -> list[str]:
    command = [sys.executable, "-m", "lab.rig.mock_model_server"]
    return [*command, "--model", f"mock-{model}", "--listen", listen]
