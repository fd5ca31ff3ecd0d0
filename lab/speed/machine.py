"""The machine of a measurement, as far as its figures depend on it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("numpy", "pillow", "paho-mqtt", "pydantic", "zeroconf", "aiohttp", "anyio", "torch")


def machine_facts(folder: Path) -> dict[str, Any]:
    """Returns the processor, the memory, the disk of `folder`, the load and the versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "load_average": os.getloadavg(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "filesystem": _filesystem(folder.resolve()),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _filesystem(folder: Path) -> str:
    mounts = [mount for mount in psutil.disk_partitions(all=True) if folder.is_relative_to(mount.mountpoint)]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype if mounts else "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
