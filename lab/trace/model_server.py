"""A model server: one that already runs, or one started for the recording as it would run in service."""

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
    """What answers on a tier.

    Attributes:
        source: unix:/path or http(s)://host:port of a server that runs, else a checkpoint to start one with.
        name: what to serve the checkpoint as, or which of a running server's models to ask; None asks all.
        quantization, threads: for a server to be started; None leaves the threads to torch.
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

    def stamp(self) -> str:
        """Changes when other weights would answer; of a running server only its address is known."""
        if self.runs_already:
            return f"{self.tier} {self.source}"
        checkpoint = Checkpoint.at(self.source, self.quantization)
        files = sorted(checkpoint.folder.iterdir()) if checkpoint.folder else []
        weights = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
        return "\n".join([self.tier, checkpoint.source, self.quantization, *weights])


@asynccontextmanager
async def serving(spec: ServerSpec, folder: Path) -> AsyncIterator[VlmClient]:
    """A client of the server, which is ready; one that was started is stopped at the end.

    Its log and its socket are in `folder`. Raises BenchError when it does not become ready.
    """
    if spec.runs_already:
        client = VlmClient(spec.source)
        try:
            if not await client.ready():
                raise BenchError(
                    f"{spec.source} is not ready to answer; start it, or wait until it is loaded"
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
                raise BenchError(f"{spec.source} cannot be served: {_end_of(log)}")
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


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a word"
