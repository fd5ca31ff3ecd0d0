"""Fixtures: a real broker, and the captured files of boards."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TREES = Path(__file__).parent / "sensing" / "trees"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


class Broker:
    """A mosquitto on a free port that can be killed and started again with its stored state."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\nuser root\n"
        )
        self.start()

    def configure(self, line: str) -> None:
        """Adds a line to the configuration that the next start reads."""
        with self._config.open("a") as file:
            file.write(f"{line}\n")

    def start(self) -> None:
        """Starts the broker and waits until it listens."""
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(3000):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """Kills the broker without a clean stop, like a power cut."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if not Path(MOSQUITTO).exists():
        pytest.skip("mosquitto is not installed")
    running = Broker(tmp_path)
    yield running
    running.kill()


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[str], Path]:
    """Returns a function that creates the files of a board and returns their root.

    Each line of sensing/trees/NAME.tree is a path and its content. The first line says whether the tree was
    captured on such a board or constructed from the documentation.
    """

    def create(name: str) -> Path:
        for line in (TREES / f"{name}.tree").read_text().splitlines():
            if line.startswith("#"):
                continue
            path, _, content = line.partition(" ")
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")
        return tmp_path

    return create
