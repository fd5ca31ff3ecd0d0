"""Operations that inject faults into a running deployment, and that wait for its state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import anyio
import numpy as np
import psutil
from anyio import to_thread

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from lab.errors import BenchError
from lab.rig.deployment import CLOUD, DEVICE, TOPICS, Deployment
from lab.rig.faults.dns_server import DnsServer
from lab.rig.faults.network_namespace import EmulatedLink

DISK_MB = 12
BUSY_TIMEOUT_S, CLOUD_TIMEOUT_S = 120.0, 180.0
POLL_S, CPU_POLL_S = 0.005, 0.1
BUSY_CPU_S = 0.025
CloudState = Literal["healthy", "unhealthy", "gone"]
FAKETIME = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


@dataclass
class FaultInjector:
    """Injects faults into a deployment whose board is behind an emulated link."""

    deployment: Deployment
    link: EmulatedLink
    rng: np.random.Generator
    dns: DnsServer

    @property
    def agent(self) -> psutil.Process:
        """The agent's process."""
        return psutil.Process(self.deployment.services["agent"].pid)

    async def restart(self, name: str) -> None:
        """Starts a service that ended, as systemd would, and waits until it is ready."""
        self.deployment.start(name)
        await self.wait_ready(name)

    async def wait_ready(self, name: str) -> None:
        """Waits until a service that was started is ready."""
        await to_thread.run_sync(self.deployment.wait_ready, name)

    async def restart_broker(self) -> None:
        """Starts the broker again and waits until it accepts connections."""
        await to_thread.run_sync(self.deployment.broker.start)

    async def wait_computing(self, name: str) -> None:
        """Waits until a service computes: it has used BUSY_CPU_S of processor time without a pause.

        Raises:
            BenchError: It does not compute within BUSY_TIMEOUT_S.
        """
        process = psutil.Process(self.deployment.services[name].pid)
        with anyio.move_on_after(BUSY_TIMEOUT_S):
            used_s, busy_s = process.cpu_times().user, 0.0
            while True:
                await anyio.sleep(CPU_POLL_S)
                before_s, used_s = used_s, process.cpu_times().user
                busy_s = busy_s + used_s - before_s if used_s > before_s else 0.0
                if busy_s >= BUSY_CPU_S:
                    return
        raise BenchError(f"the {name} service has nothing to compute: use a higher --rate")

    async def wait_cloud_answering(self) -> None:
        """Waits until the cloud's mock server is answering a request.

        Raises:
            BenchError: It gets no request within BUSY_TIMEOUT_S.
        """
        with anyio.move_on_after(BUSY_TIMEOUT_S):
            async with aiohttp.ClientSession() as http:
                while True:
                    async with http.get(f"{self.deployment.cloud_url}/healthz") as response:
                        if (await response.json())["answering"]:
                            return
                    await anyio.sleep(POLL_S)
        raise BenchError("the cloud has nothing to answer: use a higher --rate")

    async def wait_cloud_state(self, state: CloudState) -> None:
        """Waits until the agent's telemetry reports that the cloud peer is in `state`.

        Raises:
            BenchError: It does not within CLOUD_TIMEOUT_S.
        """
        layout = self.deployment.layout
        options = MqttOptions(layout.address, layout.broker_port, client_id=f"state-{uuid.uuid4().hex[:10]}")
        with anyio.move_on_after(CLOUD_TIMEOUT_S):
            async with MqttConnection(options, subscriptions=(TOPICS.telemetry,)) as mqtt:
                async for message in mqtt.messages():
                    message.ack()
                    servers = json.loads(message.payload)["servers"]
                    healthy = {server["id"]: server["healthy"] for server in servers}.get(CLOUD)
                    if state == {True: "healthy", False: "unhealthy", None: "gone"}[healthy]:
                        return
        raise BenchError(f"the agent does not report that the cloud peer is {state}: see its log")

    def pause(self, pid: int, *, on: bool) -> None:
        """Stops a process with SIGSTOP, or continues it."""
        os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)

    @asynccontextmanager
    async def rival(self) -> AsyncIterator[None]:
        """Connects a client that has the agent's name, and reconnects as an agent does."""
        layout = self.deployment.layout
        options = MqttOptions(layout.address, layout.broker_port, client_id=f"inarvl-{DEVICE}")
        async with MqttConnection(options):
            yield

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fills the file system of the state directory."""
        filler = self.deployment.state / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def no_descriptors(self) -> Iterator[None]:
        """Limits the agent to the file descriptors that it has open."""
        before = self.agent.rlimit(psutil.RLIMIT_NOFILE)
        self.agent.rlimit(psutil.RLIMIT_NOFILE, (self.agent.num_fds(), before[1]))
        try:
            yield
        finally:
            self.agent.rlimit(psutil.RLIMIT_NOFILE, before)

    @contextmanager
    def stalled(self, path: str) -> Iterator[None]:
        """Makes reading a file of /proc or /sys block in the agent, by mounting a FIFO over it."""
        fifo = self.deployment.folder / "stalled"
        os.mkfifo(fifo)
        inside = ("nsenter", "-t", f"{self.agent.pid}", "-m")
        subprocess.run([*inside, "mount", "--bind", str(fifo), path], check=True)
        try:
            yield
        finally:
            subprocess.run([*inside, "umount", "-l", path], check=True)
            for _ in range(64):  # release the threads that still read it
                with suppress(OSError):
                    os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            fifo.unlink()

    def set_clock(self, shift: str) -> None:
        """Shifts the agent's wall clock, such as by "+3600", but not its monotonic clock."""
        (self.deployment.folder / "clock").write_text(f"{shift}\n")

    def damage_spool(self) -> None:
        """Overwrites the second half of the spool's database in place."""
        path = self.deployment.state / "spool.db"
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(size // 2)
            file.write(self.rng.bytes(size - size // 2))


def fake_clock_prefix(folder: Path) -> tuple[str, ...]:
    """Returns a prefix that gives a command a separate wall clock; it is empty without libfaketime."""
    for libraries in FAKETIME:
        library = Path(libraries) / "faketime" / "libfaketime.so.1"
        if library.exists():
            (folder / "clock").write_text("+0\n")
            return (
                "env",
                f"LD_PRELOAD={library}",
                "FAKETIME_DONT_FAKE_MONOTONIC=1",
                "FAKETIME_NO_CACHE=1",
                f"FAKETIME_TIMESTAMP_FILE={folder}/clock",
            )
    return ()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mounts a file system of DISK_MB at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "inarvl", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
