"""Time since boot: it continues while the agent is stopped, and setting the clock does not change it."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """A time in one boot of the machine.

    Attributes:
        boot: the kernel's id of the boot.
        ms: milliseconds since the boot, including suspended time.
    """

    boot: str
    ms: int

    @classmethod
    def now(cls) -> Uptime | None:
        """Returns the current time; None if the kernel has no boot id."""
        boot = _boot_id()
        return None if boot is None else cls(boot, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)

    @classmethod
    def from_json(cls, value: object) -> Uptime | None:
        """Reads the result of `to_json`; None if `value` is anything else."""
        match value:
            case {"boot": str(boot), "ms": int(ms)}:
                return cls(boot, ms)
        return None

    def to_json(self) -> dict[str, object]:
        """Returns a JSON object, for the spool."""
        return asdict(self)

    def since_ms(self, earlier: Uptime | None) -> int | None:
        """Returns the milliseconds since `earlier`; None if it is later or in another boot."""
        if earlier is None or earlier.boot != self.boot or earlier.ms > self.ms:
            return None
        return self.ms - earlier.ms


@functools.cache
def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None
