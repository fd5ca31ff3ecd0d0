"""What a process holds over time: resident memory, file descriptors, threads, processor time."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import psutil

COLUMNS = ("elapsed_s", "rss_mb", "fds", "threads", "cpu_s", "sent", "answered", "errors", "lost")


class Sample(NamedTuple):
    """One reading; `counts` are of the questions since the start."""

    elapsed_s: float
    rss_mb: float
    fds: int
    threads: int
    cpu_s: float
    counts: tuple[int, int, int, int]

    def row(self) -> list[object]:
        """Its values in the order of COLUMNS."""
        return [
            round(self.elapsed_s, 1),
            round(self.rss_mb, 2),
            self.fds,
            self.threads,
            round(self.cpu_s, 2),
            *self.counts,
        ]


async def watch(
    pid: int, file: Path, every_s: float, counts: Callable[[], tuple[int, int, int, int]]
) -> None:
    """Append a reading of process `pid` to a CSV every `every_s`, for ever."""
    process, started = psutil.Process(pid), time.monotonic()
    with file.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(COLUMNS)
        while True:
            used = process.cpu_times()
            reading = Sample(
                time.monotonic() - started,
                process.memory_info().rss / 2**20,
                process.num_fds(),
                process.num_threads(),
                used.user + used.system,
                counts(),
            )
            writer.writerow(reading.row())
            output.flush()
            await anyio.sleep(every_s)
