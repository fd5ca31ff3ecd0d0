"""The processes of `inarvl up` on loopback: the broker, the model server and the agent.

1. A broker that already runs at the port is used, if it accepts messages without a password. Otherwise one is
   started: mosquitto if it is installed, else the one of the package iotcore.
2. The services start one after another, each when the one before is ready, and stop in the reverse order.
3. If one of them ends, all are stopped.
"""

from __future__ import annotations

import socket
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import yaml

from agent import client
from agent.client import AgentSilent
from agent.config.settings import Settings
from agent.messages.deliveries import PublishRefused
from agent.messages.topics import Topics
from agent.standalone.broker import BrokerFailed, broker
from agent.standalone.interrupts import Interrupts
from agent.standalone.service_process import ServiceFailed, ServiceProcess
from inarvl.errors import InarvlError

HOST = "127.0.0.1"
BROKER_S = 5.0
START_S = 600.0  # a large checkpoint is read from a slow disk
POLL_S = 0.2


class AlreadyRunning(InarvlError):
    """An agent of the same name uses the broker already."""

    code = "already_running"


class Standalone:
    """Starts the processes, and waits until one of them ends.

    Args:
        runtime: folder of sockets, logs and the broker's configuration.
        site: the content of the agent's site file, without the broker.
        report: called with the name of a part and its state.
    """

    def __init__(
        self,
        stack: ExitStack,
        interrupts: Interrupts,
        runtime: Path,
        site: dict[str, Any],
        report: Callable[[str, str], None],
    ) -> None:
        self._stack = stack
        self._interrupts = interrupts
        self._runtime = runtime
        self._site = site
        self._report = report
        self._services: list[ServiceProcess] = []

    @property
    def socket(self) -> str:
        """URL of the model server."""
        return f"unix:{self._runtime}/vlm.sock"

    def start_broker(self, port: int) -> None:
        """Uses the broker at `port`, or starts one there.

        Raises:
            BrokerFailed: the port is taken by another program, or no broker is installed.
            AlreadyRunning: an agent of the same name is online at that broker.
        """
        self._site["broker"] = {"url": f"mqtt://{HOST}:{port}"}
        if _is_free(port):
            with self._interrupts.deferred():
                name, _ = self._stack.enter_context(broker(self._runtime, port))
            self._report("broker", f"{name} on {HOST}:{port}")
            return
        settings = Settings(**self._site)
        topic, payload = Topics(settings.device).result("up"), uuid.uuid4().hex.encode()
        try:
            usable = anyio.run(partial(client.echo, settings, topic, payload, timeout_s=BROKER_S))
            snapshot = anyio.run(partial(client.status, settings, wait_s=1.0))
        except (AgentSilent, PublishRefused):
            usable = False
        if not usable:
            raise BrokerFailed(
                f"port {port} on {HOST} is taken, and not by a broker that accepts messages without a "
                "password: choose another one with --port"
            )
        if snapshot.status == "online":
            raise AlreadyRunning(
                f"the agent {settings.device!r} is online at the broker on port {port}: stop it, or choose "
                "another --port"
            )
        self._report("broker", f"the one that runs on {HOST}:{port}")

    def start_models(self, sources: list[str]) -> None:
        """Serves checkpoints; returns when all are loaded.

        Raises:
            ServiceFailed: one cannot be served.
        """
        self._report("models", f"loading {', '.join(sources)}")
        self._site["local"] = self.socket
        options = [word for source in sources for word in ("--model", source)]
        started_at = time.monotonic()
        self._start("vlm.cli", "inarvl-vlm", ["serve", *options, "--listen", self.socket])
        self._report("models", f"ready after {time.monotonic() - started_at:.0f} s")

    def start_agent(self, config: Path) -> None:
        """Writes the site file, and starts the agent.

        Raises:
            ServiceFailed: it did not start.
        """
        config.write_text(yaml.safe_dump(self._site, sort_keys=False))
        self._start("agent.cli.main", "inarvl-agent", ["run", "--config", str(config)])
        self._report("agent", "ready")

    def wait(self) -> None:
        """Waits until a service ends.

        Raises:
            ServiceFailed: always.
        """
        while all(service.running for service in self._services):
            time.sleep(POLL_S)
        ended = next(service for service in self._services if not service.running)
        raise ServiceFailed(f"{ended.name} ended:\n{ended.log_end()}")

    def _start(self, module: str, name: str, arguments: list[str]) -> None:
        command = [sys.executable, "-c", f"from {module} import app; app(prog_name={name!r})", *arguments]
        with self._interrupts.deferred():
            service = ServiceProcess(name, command, self._runtime)
            self._stack.callback(service.stop)
        self._services.append(service)
        service.wait_ready(START_S, lambda _status: None)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
