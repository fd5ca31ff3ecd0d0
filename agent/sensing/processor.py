"""Load, pressure, memory, cores and clock limit of the processor, from /proc, cpufreq and control groups."""

from __future__ import annotations

from pathlib import Path

from agent.profile.cpu_list import cpu_list
from agent.sensing.cgroup import cgroup_limits
from agent.sensing.files import folders, number, ratio, text
from agent.sensing.sample import Sample, SensorFault

ALL = "cpu"  # the line of /proc/stat with the sum of all CPUs


class Processor:
    """The processor and the memory. The load is that since the last sample; the first sample has none.

    If the CPUs that are online change, it is that of those which stay: the counters of others jump.
    """

    name = "processor"

    def __init__(self, *, proc: Path = Path("/proc"), sysfs: Path = Path("/sys")) -> None:
        self._proc = proc
        self._sysfs = sysfs
        self._cpus = sysfs / "devices" / "system" / "cpu"
        self._ticks: dict[str, tuple[float, float]] = {}

    def sample(self) -> Sample:
        """Reads the kernel's statistics."""
        ticks = _ticks(text(self._proc / "stat") or "")
        memory_mb = _available_mb(text(self._proc / "meminfo") or "")
        if not ticks and memory_mb is None:
            raise SensorFault(
                f"{self._proc}/stat and meminfo cannot be read: mount proc, with its files visible"
            )
        before, self._ticks = self._ticks, ticks
        online = cpu_list(text(self._cpus / "online") or "")
        limits = cgroup_limits(self._proc, self._sysfs)
        left_mb = [known for known in (memory_mb, limits.memory_available_mb) if known is not None]
        return Sample(
            cpu_load=_load(before, ticks),
            memory_available_mb=min(left_mb, default=None),
            clock_ratio=self._clock_ratio(),
            cpus_online=len(online) or None,
            cpu_quota=ratio(limits.cpus, len(online) or None),
            cpu_pressure=self._pressure("cpu"),
            memory_pressure=self._pressure("memory"),
            io_pressure=self._pressure("io"),
        )

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _clock_ratio(self) -> float | None:
        """Lowest clock limit of the policies with a CPU online. It is not the present clock."""
        ratios = [
            ratio(number(policy / "scaling_max_freq"), number(policy / "cpuinfo_max_freq"))
            for policy in folders(self._cpus / "cpufreq", "policy*")
            if text(policy / "affected_cpus") != ""
        ]
        return min((known for known in ratios if known), default=None)

    def _pressure(self, resource: str) -> float | None:
        """`some avg10` of the pressure stall information, as a share (Documentation/accounting/psi.rst)."""
        for line in (text(self._proc / "pressure" / resource) or "").splitlines():
            if line.startswith("some "):
                for part in line.split():
                    if part.startswith("avg10="):
                        return ratio(_float(part[6:]), 100.0)
        return None


def _load(before: dict[str, tuple[float, float]], now: dict[str, tuple[float, float]]) -> float | None:
    """The share of time in which the CPUs that are in both readings were busy.

    The kernel's own sum is used while the same CPUs are online: it rounds once, not for each CPU.
    """
    both = before.keys() & now.keys()
    cpus = {ALL} if before.keys() == now.keys() else both - {ALL}
    busy = sum(now[cpu][0] - before[cpu][0] for cpu in cpus & both)
    total = sum(now[cpu][1] - before[cpu][1] for cpu in cpus & both)
    return ratio(busy, total) if total > 0 else None


def _ticks(stat: str) -> dict[str, tuple[float, float]]:
    """Busy and total clock ticks since boot, by CPU; the fourth and fifth are idle and iowait (proc(5))."""
    ticks = {}
    for line in stat.splitlines():
        name, *columns = line.split()
        if not name.startswith(ALL):
            break
        if len(columns) >= 4:
            known = [_float(column) or 0.0 for column in columns[:8]]
            ticks[name] = (sum(known) - sum(known[3:5]), sum(known))
    return ticks


def _available_mb(meminfo: str) -> float | None:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            kib = _float(line.split()[1])
            return None if kib is None else kib / 1024
    return None


def _float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
