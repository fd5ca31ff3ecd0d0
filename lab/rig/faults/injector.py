"""What a fault can do to a running site."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import anyio
import numpy as np
import psutil
from anyio import to_thread

from agent.messages.mqtt import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from lab.errors import BenchError
from lab.rig.deployment import CLOUD, TOPICS, Site
from lab.rig.faults.dns_server import Names
from lab.rig.faults.network_namespace import Link

DISK_MB = 12
COMPUTES_S, LOOK_S, POLL_S, SAYS_SO_S = 60.0, 0.1, 0.005, 90.0
CloudState = Literal["healthy", "unhealthy", "gone"]
FAKETIME = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


@dataclass
class Scene:
    """A site whose board stands behind an emulated link, with what is needed to harm it."""

    site: Site
    link: Link
    rng: np.random.Generator
    names: Names

    @property
    def agent(self) -> psutil.Process:
        """The agent's process."""
        return psutil.Process(self.site.running["agent"].pid)

    async def restart(self, part: str) -> None:
        """Start a part that ended, as systemd would, and wait until it is ready."""
        self.site.start(part)
        await self.ready(part)

    async def ready(self, part: str) -> None:
        """Wait until a part that was started is ready."""
        await to_thread.run_sync(self.site.await_ready, part)

    async def restart_broker(self) -> None:
        """Start the broker again and wait until it listens."""
        await to_thread.run_sync(self.site.start_broker)

    async def computing(self, part: str) -> None:
        """Wait until a part computes.

        Raises:
            BenchError: it does not.
        """
        process = psutil.Process(self.site.running[part].pid)
        with anyio.move_on_after(COMPUTES_S):
            while True:
                before = process.cpu_times().user
                await anyio.sleep(LOOK_S)
                if process.cpu_times().user - before >= LOOK_S / 4:
                    return
        raise BenchError(f"the {part} has nothing to do: ask more often")

    async def answering(self) -> None:
        """Wait until the cloud's stand-in is at an answer.

        Raises:
            BenchError: it is not asked.
        """
        with anyio.move_on_after(COMPUTES_S):
            async with aiohttp.ClientSession() as http:
                while True:
                    async with http.get(f"{self.site.cloud_url}/healthz") as response:
                        if (await response.json())["answering"]:
                            return
                    await anyio.sleep(POLL_S)
        raise BenchError("the cloud has nothing to answer: ask more often")

    async def until_cloud(self, state: CloudState) -> None:
        """Wait until the agent says of the cloud peer that it is so.

        Raises:
            BenchError: it does not come to say so.
        """
        layout = self.site.layout
        options = MqttOptions(layout.address, layout.broker_port, client_id=f"look-{uuid.uuid4().hex[:10]}")
        with anyio.move_on_after(SAYS_SO_S):
            async with MqttConnection(options, subscriptions=(TOPICS.telemetry,)) as link:
                async for message in link.messages():
                    message.ack()
                    known = {
                        server["id"]: server["healthy"] for server in json.loads(message.payload)["servers"]
                    }
                    if state == {True: "healthy", False: "unhealthy", None: "gone"}[known.get(CLOUD)]:
                        return
        raise BenchError(f"the agent does not find that the cloud peer is {state}")

    def pause(self, pid: int, *, on: bool) -> None:
        """Stop a process in its tracks, or let it go on."""
        os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the file system that the state directory is on."""
        filler = self.site.state / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def no_descriptors(self) -> Iterator[None]:
        """Leave the agent no file descriptor beyond those it has."""
        before = self.agent.rlimit(psutil.RLIMIT_NOFILE)
        self.agent.rlimit(psutil.RLIMIT_NOFILE, (self.agent.num_fds(), before[1]))
        try:
            yield
        finally:
            self.agent.rlimit(psutil.RLIMIT_NOFILE, before)

    @contextmanager
    def stalled(self, path: str) -> Iterator[None]:
        """Make reading a file of /proc or /sys hang, for the agent alone: a FIFO that nobody writes to."""
        fifo = self.site.folder / "stalled"
        os.mkfifo(fifo)
        inside = ("nsenter", "-t", f"{self.agent.pid}", "-m")
        subprocess.run([*inside, "mount", "--bind", str(fifo), path], check=True)
        try:
            yield
        finally:
            subprocess.run([*inside, "umount", "-l", path], check=True)
            for _ in range(64):  # free what still reads it
                with suppress(OSError):
                    os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            fifo.unlink()

    def set_clock(self, shift: str) -> None:
        """Shift the agent's wall clock, such as by "+3600"; its monotonic clock goes on."""
        (self.site.folder / "clock").write_text(f"{shift}\n")

    def damage_spool(self) -> None:
        """Overwrite the second half of the spool's database in place."""
        path = self.site.state / "spool.db"
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(size // 2)
            file.write(self.rng.bytes(size - size // 2))


def clock_words(folder: Path) -> tuple[str, ...]:
    """The words before a command that give it a wall clock of its own, if libfaketime is installed."""
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
    """A file system of DISK_MB at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "inarvl", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
