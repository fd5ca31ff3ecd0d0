"""A model server of another project as a child process, in the environment that scripts/engine made."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from vlm.client import VlmClient

ROOT = Path(__file__).parents[2]
STOP_S = 30.0


def python_of(engine: str) -> Path:
    """The interpreter of an engine's environment; skips the test if it is not installed."""
    python = ROOT / ".engines" / engine / "bin" / "python"
    if not (python.parents[1] / "installed").exists():
        pytest.skip(f"{engine} is not installed: run scripts/engine {engine}")
    return python


@dataclass
class EngineProcess:
    """An engine that can be killed and started again.

    Attributes:
        url: where clients reach it.
        log: what it writes.
        start_s: longest time until it answers.
    """

    command: Sequence[str]
    url: str
    log: Path
    start_s: float
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it without waiting until it is ready."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,  # so that its workers can be killed with it
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kills it, as a crash would."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stops it and its workers if it runs."""
        if self._process is not None and self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
            with suppress(ProcessLookupError):
                self.kill()

    async def until_ready(self) -> None:
        """Waits until it lists its models."""
        assert self._process is not None
        client = VlmClient(self.url)
        with anyio.move_on_after(self.start_s):
            while self._process.poll() is None:
                if await client.ready():
                    await client.aclose()
                    return
                await anyio.sleep(0.1)
        raise AssertionError(
            f"{self.command[0]} is not ready:\n{self.log.read_text(errors='replace')[-3000:]}"
        )
