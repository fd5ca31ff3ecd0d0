"""Logs a process's memory, file descriptors, threads and processor time to a CSV."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

COUNTS = ("sent", "answered", "errors", "lost", "twice")
COLUMNS = ("elapsed_s", "rss_mb", "fds", "threads", "cpu_s", *COUNTS)


@contextmanager
def resource_log(pid: int, file: Path, counts: Callable[[], tuple[int, ...]]) -> Iterator[Callable[[], None]]:
    """Opens a CSV with COLUMNS for the readings of process `pid`.

    Args:
        counts: Returns the numbers of queries since the start, in the order of COUNTS.

    Yields:
        A function that appends a reading.
    """
    process, started = psutil.Process(pid), time.monotonic()
    with file.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(COLUMNS)

        def append() -> None:
            cpu = process.cpu_times()
            row = (
                round(time.monotonic() - started, 1),
                round(process.memory_info().rss / 2**20, 2),
                process.num_fds(),
                process.num_threads(),
                round(cpu.user + cpu.system, 2),
                *counts(),
            )
            writer.writerow(row)
            output.flush()

        yield append
