"""A model server for a recording: a running one, or one that is started as it would run in service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from controller.arm import Tier
from lab.errors import BenchError
from vlm.checkpoint import Checkpoint, Quantization
from vlm.client import VlmClient

POLL_S = 0.1
STOP_S = 20.0


@dataclass(frozen=True)
class ServerSpec:
    """A server on a tier.

    Attributes:
        source: unix:/path or http(s)://host:port of a running server, else a checkpoint to serve.
        name: model name of the checkpoint, or the model of a running server to ask; None asks all models.
        quantization, threads: of a server that is started; None lets torch choose the threads.
    """

    tier: Tier
    source: str
    quantization: Quantization
    name: str | None = None
    threads: int | None = None

    @property
    def runs_already(self) -> bool:
        """Whether `source` is an address."""
        return self.source.startswith(("unix:", "http://", "https://"))

    def fingerprint(self) -> str:
        """Returns a text that changes with the weights; of a running server only the address is known."""
        if self.runs_already:
            return f"{self.tier} {self.source}"
        checkpoint = Checkpoint.at(self.source, self.quantization)
        files = sorted(checkpoint.folder.iterdir()) if checkpoint.folder else []
        weights = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
        return "\n".join([self.tier, checkpoint.source, self.quantization, *weights])


@asynccontextmanager
async def running_server(spec: ServerSpec, folder: Path) -> AsyncIterator[VlmClient]:
    """Yields a client of a ready server; starts the server first if needed, and stops it at the end.

    The log and the socket of a server that is started are in `folder`.

    Raises:
        BenchError: the server does not become ready.
    """
    if spec.runs_already:
        client = VlmClient(spec.source)
        try:
            if not await client.ready():
                raise BenchError(
                    f"{spec.source} is not ready to answer; start it, or wait until its model is loaded"
                )
            yield client
        finally:
            await client.aclose()
        return
    address, log = f"unix:{folder}/socket", folder / "log"
    with log.open("wb") as output:
        process = await anyio.open_process(_command(spec, address), stdout=output, stderr=subprocess.STDOUT)
    client = VlmClient(address)
    try:
        while not await client.ready():
            if process.returncode is not None:
                raise BenchError(f"{spec.source} cannot be served: {_last_line(log)}")
            await anyio.sleep(POLL_S)
        yield client
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()
            await _stop(process)


def _command(spec: ServerSpec, address: str) -> list[str]:
    command = [sys.executable, "-c", "from vlm.cli import app; app()", "serve", "--model", spec.source]
    command += ["--listen", address, "--quantization", spec.quantization]
    command += ["--name", spec.name] if spec.name else []
    return [*command, "--threads", str(spec.threads)] if spec.threads else command


async def _stop(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.terminate()
    with anyio.move_on_after(STOP_S):
        await process.wait()
        return
    process.kill()
    await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without output"
