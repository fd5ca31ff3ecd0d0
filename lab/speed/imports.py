"""The yardstick of start and memory: Python with the packages that the agent imports, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NamedTuple

# The memory is compared with these ...
HEAVY = ("paho.mqtt.client", "zeroconf", "numpy", "pydantic", "PIL.Image")
# ... and the start with all packages of others that the agent imports before it is ready.
ALL = (*HEAVY, "aiohttp", "anyio", "prometheus_client", "typer", "yaml", "zeroconf.asyncio")
PRINT_RSS = "print(next(line.split()[1] for line in open('/proc/self/status') if line[:6] == 'VmRSS:'))"


def imported_rss_mib() -> float:
    """Returns the resident memory of Python with HEAVY."""
    code = f"import {', '.join(HEAVY)}; {PRINT_RSS}"
    found = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    return int(found.stdout) / 1024


class ImportTimes(NamedTuple):
    """The time and the CPU time of a program, in seconds."""

    elapsed_s: float
    cpu_s: float


def import_times() -> ImportTimes:
    """Returns how long Python needs to start, to import ALL and to end."""
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", f"import {', '.join(ALL)}"], check=True)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return ImportTimes(time.perf_counter() - started, cpu_s)
