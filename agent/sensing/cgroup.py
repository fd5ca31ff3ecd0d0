"""What a container or slice leaves to the agent and the model server: memory and CPU time (cgroups).

1. Every control group above the agent limits it: the lowest of their limits counts. Both versions are read.
2. The agent's own systemd service is not counted: its limit is not that of the model server, which is another
   service.
3. Memory that the kernel can reclaim from the page cache of a group is available in it.
See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst in the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.sensing.files import number, text

NO_LIMIT = 2**60  # version 1 has no word for it, but a number near 2**63
MIB = 2**20


@dataclass(frozen=True)
class CgroupLimits:
    """Limits of the groups above the agent; None without a limit.

    Attributes:
        memory_available_mb: memory that they leave, in MiB.
        cpus: how many CPUs they may use, as CPU time divided by time.
    """

    memory_available_mb: float | None = None
    cpus: float | None = None


def cgroup_limits(proc: Path = Path("/proc"), sysfs: Path = Path("/sys")) -> CgroupLimits:
    """Reads the limits of the control groups of this process."""
    memory: list[float | None] = []
    cpus: list[float | None] = []
    mount = sysfs / "fs" / "cgroup"
    for line in (text(proc / "self" / "cgroup") or "").splitlines():
        number_of_tree, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number_of_tree == "0":
            for group in _above(mount, path):
                memory += [_left_v2(group, "memory.max"), _left_v2(group, "memory.high")]
                cpus.append(_cpus_v2(group))
        elif "memory" in controllers.split(","):
            memory += [_left_v1(group) for group in _above(mount / "memory", path)]
        elif "cpu" in controllers.split(","):
            folder = next((mount / name for name in (controllers, "cpu") if (mount / name).is_dir()), mount)
            cpus += [_cpus_v1(group) for group in _above(folder, path)]
    return CgroupLimits(_lowest(memory), _lowest(cpus))


def _above(mount: Path, path: str) -> Iterator[Path]:
    """Yields the group at `path` and those above it; in a container only the top of the mount may exist."""
    group = PurePosixPath(path.removesuffix(" (deleted)").lstrip("/"))
    for place in (group, *group.parents):
        if place.suffix != ".service" and ".." not in place.parts:
            folder = mount / place
            if folder.is_dir():
                yield folder


def _left_v2(group: Path, limit: str) -> float | None:
    return _left_mb(number(group / limit), number(group / "memory.current"), group, "inactive_file")


def _left_v1(group: Path) -> float | None:
    limit = number(group / "memory.limit_in_bytes")
    used = number(group / "memory.usage_in_bytes")
    return _left_mb(limit, used, group, "total_inactive_file")


def _left_mb(limit: float | None, used: float | None, group: Path, reclaimable: str) -> float | None:
    if limit is None or used is None or limit >= NO_LIMIT:
        return None
    for line in (text(group / "memory.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        if name == reclaimable and value.isdecimal():
            used -= float(value)
    return max(0.0, limit - max(0.0, used)) / MIB


def _cpus_v2(group: Path) -> float | None:
    quota, _, period = (text(group / "cpu.max") or "").partition(" ")
    try:
        return float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None


def _cpus_v1(group: Path) -> float | None:
    quota, period = number(group / "cpu.cfs_quota_us"), number(group / "cpu.cfs_period_us")
    return quota / period if quota is not None and quota > 0 and period else None


def _lowest(values: list[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
