"""A whole site on this machine: a real broker and agent, and model servers, each of which can be ended."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.messages.topics import Topics
from lab.errors import BenchError
from lab.rig.service_process import Service

DEVICE = "rig"
TOPICS = Topics(DEVICE)
START_S = 120.0
CLOUD = "cloud"
DURABLE = "persistence true\nautosave_on_changes true\nautosave_interval 1\n"


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto() -> str | None:
    """Where the broker's program is; None when it is not installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class Layout:
    """Where the parts stand: the board may be in a network namespace, which sees the rest at `address`."""

    address: str = "127.0.0.1"
    board_prefix: tuple[str, ...] = ()
    broker_port: int = field(default_factory=free_port)
    cloud_port: int = field(default_factory=free_port)


@dataclass(frozen=True)
class Pacing:
    """How the stand-ins for the models behave: median ms of an answer, and answers at the same time."""

    edge_ms: float = 60.0
    cloud_ms: float = 80.0
    cloud_slots: int = 2

    @property
    def nominal_rate(self) -> float:
        """Answers per second if no stand-in ever waited for a question."""
        return 1e3 / self.edge_ms + self.cloud_slots * 1e3 / self.cloud_ms


@dataclass
class Site:
    """Parts are called broker, edge, cloud and agent; everything they write is in `folder`.

    A `durable` broker writes all it holds to the disk at every change, so that it can be killed. When the
    cloud is `announced`, a part called announcer tells of it by zeroconf on the layout's address alone, and
    the site file does not name it.
    """

    folder: Path
    layout: Layout = field(default_factory=Layout)
    pacing: Pacing = Pacing()
    settings: Mapping[str, Any] = field(default_factory=dict)
    edge_command: tuple[str, ...] | None = None
    cloud_command: tuple[str, ...] | None = None
    durable: bool = False
    announced: bool = False
    running: dict[str, Service] = field(default_factory=dict)
    _broker: subprocess.Popen[bytes] | None = None

    def start_all(self) -> None:
        """Start everything and wait until it is ready."""
        self.state.mkdir(parents=True, exist_ok=True)
        self._write_config()
        self.start_broker()
        for part in ("edge", "cloud", *(("announcer",) if self.announced else ())):
            self.start(part)
            self.await_ready(part)
        self.start("agent")
        self.await_ready("agent")

    def stop_all(self) -> None:
        """End everything, the agent first."""
        for part in ("agent", "announcer", "cloud", "edge"):
            if part in self.running:
                self.running.pop(part).stop()
        self.kill_broker()

    @property
    def state(self) -> Path:
        """The agent's state directory."""
        return self.folder / "state"

    @property
    def cloud_url(self) -> str:
        """Where the cloud peer is asked."""
        return f"http://{self.layout.address}:{self.layout.cloud_port}"

    def start(self, part: str) -> None:
        """Start a part without waiting for it."""
        parts = {"edge": self._edge, "cloud": self._cloud, "announcer": self._announcer, "agent": self._agent}
        command = parts[part]()
        self.running[part] = Service(part, command, self.folder)

    def await_ready(self, part: str) -> None:
        """Wait until a part says that it is ready."""
        self.running[part].wait_ready(START_S, lambda _status: None)

    def stop(self, part: str) -> None:
        """End a part the way systemd does."""
        self.running[part].stop()

    def kill(self, part: str) -> None:
        """End a part at once, as a crash would."""
        self.running[part].kill()

    def start_broker(self) -> None:
        """Start mosquitto with what it had stored, and wait until it listens."""
        program = mosquitto()
        if program is None:
            raise BenchError("no mosquitto on this machine: apt-get install mosquitto")
        folder = self.folder / "broker"
        folder.mkdir(exist_ok=True)
        conf = folder / "mosquitto.conf"
        conf.write_text(
            f"listener {self.layout.broker_port} {self.layout.address}\nallow_anonymous true\n"
            "set_tcp_nodelay true\nmax_queued_messages 0\nuser root\n"
            + (f"persistence_location {folder}/\n{DURABLE}" if self.durable else "")
        )
        with (folder / "log").open("ab") as log:
            self._broker = subprocess.Popen([program, "-c", str(conf)], stdout=log, stderr=log)
        self._await(self._broker_listens, "mosquitto does not listen")

    def kill_broker(self) -> None:
        """End the broker at once."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()
            self._broker = None

    @property
    def broker_pid(self) -> int:
        """The broker's process id."""
        assert self._broker is not None, "the broker runs"
        return self._broker.pid

    def _write_config(self) -> None:
        where = self.layout.address
        settings = {
            "device": DEVICE,
            "broker": {"url": f"mqtt://{where}:{self.layout.broker_port}"},
            "local": f"unix:{self.folder}/edge.sock",
            "peers": [] if self.announced else [{"id": CLOUD, "url": self.cloud_url}],
            "discovery": {"zeroconf": self.announced},
            "state_dir": str(self.state),
            "profile": "generic-x86",
        }
        (self.folder / "agent.yaml").write_text(yaml.safe_dump({**settings, **self.settings}))

    def _agent(self) -> list[str]:
        tool = str(Path(sys.executable).with_name("inarvl"))
        return [*self.layout.board_prefix, tool, "run", "--config", str(self.folder / "agent.yaml")]

    def _edge(self) -> list[str]:
        listen = f"unix:{self.folder}/edge.sock"
        if self.edge_command is not None:
            return [*self.layout.board_prefix, *self.edge_command, "--listen", listen]
        return [*_standin("edge", listen), "--ms", f"{self.pacing.edge_ms}"]

    def _cloud(self) -> list[str]:
        listen = f"{self.layout.address}:{self.layout.cloud_port}"
        if self.cloud_command is not None:
            return [*self.cloud_command, "--listen", listen]
        slots = f"{self.pacing.cloud_slots}"
        return [*_standin("cloud", listen), "--ms", f"{self.pacing.cloud_ms}", "--slots", slots]

    def _announcer(self) -> list[str]:
        tool = str(Path(sys.executable).with_name("inarvl-cloud"))
        where = ("--interface", self.layout.address)
        return [tool, "announce", "--url", self.cloud_url, "--id", CLOUD, *where]

    def _broker_listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.layout.address, self.layout.broker_port)) == 0

    def _await(self, holds: Callable[[], bool], otherwise: str) -> None:
        until = time.monotonic() + 10
        while not holds():
            if time.monotonic() > until:
                raise BenchError(f"{otherwise}; see the logs in {self.folder}")
            time.sleep(0.02)


def _standin(model: str, listen: str) -> list[str]:
    program = [sys.executable, "-m", "lab.rig.mock_model_server"]
    return [*program, "--model", f"stand-in-{model}", "--listen", listen]
