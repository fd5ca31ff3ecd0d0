"""A soak in processes of its own, beside the other tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.rig.deployment import mosquitto

SECONDS = float(os.environ.get("INARVL_SOAK_S", "20"))
TELLING_S = 450.0  # in which it asks enough to tell whether the agent grows
RATE = 16.0
OVER_S = 150.0  # for the start, and for the last replies on a busy machine
SHAPE = ("--rate", f"{RATE}", "--edge-ms", "20", "--cloud-ms", "30", "--deadline-ms", "10000")


class Soaking:
    """`inarvl-bench soak`, begun when made."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="inarvl-soak-")
        self._file = Path(self._folder.name) / "soak.csv"
        self._log = Path(self._folder.name) / "log"
        tool = str(Path(sys.executable).with_name("inarvl-bench"))
        how = ("--out", str(self._file), "--minutes", f"{SECONDS / 60}", "--every-s", "1", *SHAPE)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([tool, "soak", *how], stdout=log, stderr=subprocess.STDOUT)

    @staticmethod
    def possible() -> bool:
        """Whether this machine has what it takes."""
        return mosquitto() is not None

    def readings(self) -> Path:
        """The CSV, when it is complete."""
        status = self._process.wait(SECONDS + OVER_S)
        assert status == 0, self._log.read_text(errors="replace")
        return self._file

    def end(self) -> None:
        """End what still runs, and remove what was written."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
