"""A sensor that hangs keeps one thread, is reported, and does not disturb the others or the exit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from agent.sensing import sensing as module
from agent.sensing.sample import PolledSensor, Sample
from agent.sensing.sensing import FAULT_RETRY_S, Sensing

pytestmark = pytest.mark.anyio
HANGS_AT_EXIT = """
import anyio, sys
from agent.sensing.sample import Sample
from agent.sensing.sampler import Sampler

class Fifo:
    name = "fifo"

    def sample(self):
        return Sample(power_mode=open(sys.argv[1]).read())

async def main():
    with anyio.move_on_after(0.05):
        await Sampler(Fifo()).sample()

anyio.run(main)
"""


class Hanging:
    """A sensor whose samples wait until a test releases them."""

    name = "hanging"

    def __init__(self) -> None:
        self.samples = 0
        self.released = threading.Event()

    def sample(self) -> Sample:
        self.samples += 1
        self.released.wait()
        return Sample(cpu_load=0.5)

    def close(self) -> None:
        pass


async def test_a_hung_sensor_has_one_thread_however_often_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_TIMEOUT_S", 0.01)
    sensor = Hanging()
    polled = PolledSensor(sensor, 1.0)
    board = Sensing([polled], smoothing_s=0.0)
    before = threading.active_count()
    for _ in range(20):
        assert await board.sample(polled) == FAULT_RETRY_S
    assert threading.active_count() == before + 1
    assert (sensor.samples, list(board.faults)) == (1, ["hanging"])
    sensor.released.set()
    with anyio.fail_after(60):
        while board.faults:
            await board.sample(polled)
    assert board.state.cpu_load == 0.5


def test_a_hung_sensor_does_not_prevent_the_exit(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    command = [sys.executable, "-c", HANGS_AT_EXIT, str(tmp_path / "fifo")]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
