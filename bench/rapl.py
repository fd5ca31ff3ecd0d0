"""Energy of the processor packages, as Linux reads it from their own counters (powercap, "RAPL")."""

from __future__ import annotations

import time
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Rapl:
    """Joules that all packages together have used since this object was made.

    The counters wrap around: read at least every few minutes. They are those of x86 processors, readable for
    root alone on most systems, and leave out all but the processor and on some its memory.
    """

    def __init__(self, packages: tuple[Path, ...]) -> None:
        self._packages = packages
        self._ranges_uj = [int((p / "max_energy_range_uj").read_text()) for p in packages]
        self._last_uj = self._read_uj()
        self._total_uj = 0

    @classmethod
    def find(cls, powercap: Path = POWERCAP) -> Rapl | None:
        """That of this machine, None where there is none or it may not be read."""
        packages = tuple(
            zone
            for zone in sorted(powercap.glob("intel-rapl:*"))
            if zone.name.count(":") == 1 and (zone / "energy_uj").is_file()
        )
        try:
            return cls(packages) if packages else None
        except (OSError, ValueError):
            return None

    def read_j(self) -> float:
        """Joules so far."""
        now_uj = self._read_uj()
        for now, last, wrap in zip(now_uj, self._last_uj, self._ranges_uj, strict=True):
            self._total_uj += now - last if now >= last else now - last + wrap
        self._last_uj = now_uj
        return self._total_uj / 1e6

    def _read_uj(self) -> list[int]:
        return [int((package / "energy_uj").read_text()) for package in self._packages]


class Meter:
    """Measures what work costs above idle, whose power it takes from a quiet stretch beforehand."""

    def __init__(self, rapl: Rapl, idle_w: float) -> None:
        self._rapl = rapl
        self._idle_w = idle_w
        self._began_j = self._began_s = 0.0

    @classmethod
    def settled(cls, rapl: Rapl, quiet_s: float = 5.0) -> Meter:
        """One that has watched the idle machine for `quiet_s` seconds."""
        began_j, began_s = rapl.read_j(), time.monotonic()
        time.sleep(quiet_s)
        return cls(rapl, (rapl.read_j() - began_j) / (time.monotonic() - began_s))

    def begin(self, now_s: float) -> None:
        """Work begins at `now_s`."""
        self._began_j, self._began_s = self._rapl.read_j(), now_s

    def end(self, now_s: float) -> float:
        """Joules above idle since `begin`, at least 0."""
        used_j = self._rapl.read_j() - self._began_j
        return max(0.0, used_j - self._idle_w * (now_s - self._began_s))
