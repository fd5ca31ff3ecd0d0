"""What a process holds over time: resident memory, file descriptors, threads, processor time."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

COUNTS = ("sent", "answered", "errors", "lost", "twice")
COLUMNS = ("elapsed_s", "rss_mb", "fds", "threads", "cpu_s", *COUNTS)


class Sample(NamedTuple):
    """One reading; `counts` are of the questions since the start, by COUNTS."""

    elapsed_s: float
    rss_mb: float
    fds: int
    threads: int
    cpu_s: float
    counts: tuple[int, ...]

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


@contextmanager
def watching(pid: int, file: Path, counts: Callable[[], tuple[int, ...]]) -> Iterator[Callable[[], None]]:
    """Gives what appends a reading of process `pid` to a CSV, each time it is called."""
    process, started = psutil.Process(pid), time.monotonic()
    with file.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(COLUMNS)

        def read() -> None:
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

        yield read
