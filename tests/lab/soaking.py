"""A soak in a separate process, which runs while the other tests run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from agent.standalone.broker import find_mosquitto
from lab.rig.deployment import program

SECONDS = float(os.environ.get("INARVL_SOAK_S", "20"))
GROWTH_S = 450.0  # long enough to measure whether the agent grows
RATE = 16.0
OVER_S = 300.0  # for the start and the last replies on a busy machine
WORKLOAD = ("--rate", f"{RATE}", "--edge-ms", "20", "--cloud-ms", "30", "--deadline-ms", "10000")


class Soaking:
    """`inarvl-bench soak`, which starts with the object."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="inarvl-soak-")
        self._file = Path(self._folder.name) / "soak.csv"
        self._log = Path(self._folder.name) / "log"
        options = ("--out", str(self._file), "--minutes", f"{SECONDS / 60}", "--every-s", "1", *WORKLOAD)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*program("lab.cli"), "soak", *options], stdout=log, stderr=subprocess.STDOUT
            )

    @staticmethod
    def possible() -> bool:
        """Whether the broker is installed."""
        return find_mosquitto() is not None

    def readings(self) -> Path:
        """Waits until the soak is over and returns its CSV."""
        status = self._process.wait(SECONDS + OVER_S)
        assert status == 0, self._log.read_text(errors="replace")
        return self._file

    def end(self) -> None:
        """Stops the soak if it still runs, and removes its files."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
