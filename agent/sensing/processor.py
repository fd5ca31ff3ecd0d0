"""Load, pressure, memory and clock limit of the processor, from /proc and cpufreq."""

from __future__ import annotations

from pathlib import Path

from agent.sensing.files import folders, number, ratio, text
from agent.sensing.sample import Sample, SensorFault


class Processor:
    """The processor and the memory. The load is that since the last sample; the first sample has none."""

    name = "processor"

    def __init__(self, *, proc: Path = Path("/proc"), sysfs: Path = Path("/sys")) -> None:
        self._proc = proc
        self._cpufreq = sysfs / "devices" / "system" / "cpu" / "cpufreq"
        self._ticks: tuple[float, float] | None = None

    def sample(self) -> Sample:
        """Reads the kernel's statistics."""
        ticks = _ticks(text(self._proc / "stat") or "")
        memory_mb = _available_mb(text(self._proc / "meminfo") or "")
        if ticks is None and memory_mb is None:
            raise SensorFault(
                f"{self._proc}/stat and meminfo cannot be read: mount proc, with its files visible"
            )
        before, self._ticks = self._ticks, ticks
        load = None
        if before is not None and ticks is not None and ticks[1] > before[1]:
            load = ratio(ticks[0] - before[0], ticks[1] - before[1])
        return Sample(
            cpu_load=load,
            memory_available_mb=memory_mb,
            clock_ratio=self._clock_ratio(),
            cpu_pressure=self._pressure("cpu"),
            memory_pressure=self._pressure("memory"),
            io_pressure=self._pressure("io"),
        )

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _clock_ratio(self) -> float | None:
        """Lowest clock limit of all policies. It is not the present clock, which is low on an idle core."""
        ratios = [
            ratio(number(policy / "scaling_max_freq"), number(policy / "cpuinfo_max_freq"))
            for policy in folders(self._cpufreq, "policy*")
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


def _ticks(stat: str) -> tuple[float, float] | None:
    """Busy and total clock ticks since boot; idle and iowait are the fourth and fifth column (proc(5))."""
    first = stat.partition("\n")[0].split()
    if len(first) < 5 or first[0] != "cpu":
        return None
    ticks = [_float(part) or 0.0 for part in first[1:9]]
    idle = sum(ticks[3:5])
    return sum(ticks) - idle, sum(ticks)


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
