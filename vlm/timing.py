"""Time in HTTP headers: Server-Timing in a response, and the deadline in a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_DURATION_MS = 1e9
DEADLINE_HEADER = "X-Inarvl-Deadline-Ms"
"""Request header: milliseconds that the caller waits from now; a duration, because clocks differ."""


@dataclass(frozen=True)
class Timing:
    """Time in the server's queue and computing time; None where the server does not report it."""

    queue_ms: float | None = None
    compute_ms: float | None = None

    def to_header(self) -> str:
        """Returns e.g. `queue;dur=1.2, compute;dur=34.5`, in milliseconds (W3C Server Timing)."""
        parts = (("queue", self.queue_ms), ("compute", self.compute_ms))
        return ", ".join(f"{name};dur={ms:.3f}" for name, ms in parts if ms is not None)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Timing:
        """Reads the headers of a response, which may have come through LiteLLM's proxy."""
        return cls.from_header(headers.get("Server-Timing") or headers.get("llm_provider-Server-Timing"))

    @classmethod
    def from_header(cls, header: str | None) -> Timing:
        """Reads a header; ignores metrics of other names and invalid durations."""
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
                    if 0 <= ms <= MAX_DURATION_MS:
                        found[name] = ms
        return cls(found.get("queue"), found.get("compute"))
