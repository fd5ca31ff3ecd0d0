"""How long a server took, as the Server-Timing header says it, and how long it may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

DEADLINE_HEADER = "X-Inarvl-Deadline-Ms"
"""Request header: milliseconds the caller will wait from now, a duration because clocks differ."""


@dataclass(frozen=True)
class Timing:
    """Time in the server's queue and time it worked; None where it does not tell."""

    queue_ms: float | None = None
    compute_ms: float | None = None

    def to_header(self) -> str:
        """`queue;dur=1.2, compute;dur=34.5`, durations in milliseconds (W3C Server Timing)."""
        parts = (("queue", self.queue_ms), ("compute", self.compute_ms))
        return ", ".join(f"{name};dur={ms:.3f}" for name, ms in parts if ms is not None)

    @classmethod
    def from_header(cls, header: str | None) -> Timing:
        """Read what a server sent; metrics of other names and unreadable durations are passed over."""
        found: dict[str, float] = {}
        for metric in (header or "").split(","):
            name, *parameters = (part.strip() for part in metric.split(";"))
            for parameter in parameters:
                key, _, value = parameter.partition("=")
                if key.strip().lower() == "dur":
                    try:
                        ms = float(value.strip().strip('"'))
                    except ValueError:
                        continue
                    if math.isfinite(ms) and ms >= 0:
                        found[name] = ms
        return cls(found.get("queue"), found.get("compute"))
