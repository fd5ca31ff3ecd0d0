"""The time since this machine booted: it goes on while the agent is away, and no set clock moves it."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """An instant of one boot: `boot` names it, `ms` counts from its beginning, suspended time included."""

    boot: str
    ms: int

    @classmethod
    def now(cls) -> Uptime | None:
        """This instant; None where the kernel does not tell boots apart."""
        boot = _boot()
        return None if boot is None else cls(boot, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)

    @classmethod
    def from_json(cls, known: object) -> Uptime | None:
        """What `to_json` gave; None for anything else."""
        match known:
            case {"boot": str(boot), "ms": int(ms)}:
                return cls(boot, ms)
        return None

    def to_json(self) -> dict[str, object]:
        """A plain form for the spool."""
        return asdict(self)

    def since_ms(self, earlier: Uptime | None) -> int | None:
        """How long ago `earlier` was; None when it was in another boot, or the kernel's count went back."""
        if earlier is None or earlier.boot != self.boot or earlier.ms > self.ms:
            return None
        return self.ms - earlier.ms


@functools.cache
def _boot() -> str | None:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None
