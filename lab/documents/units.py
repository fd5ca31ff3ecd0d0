"""The unit of a key, which its name ends in."""

from __future__ import annotations

from typing import Final

UNITS: Final = {
    "_per_s": "1/s",
    "_per_j": "1/J",
    "_j_per_mb": "J/MB",
    "_per_call": "1/call",
    "per_minute": "1/min",
    "_per_hour": "1/h",
    "_per_day": "1/day",
    "_ms": "ms",
    "_s": "s",
    "_mb": "MiB",
    "_gb": "GB",
    "_bytes": "bytes",
    "_pct": "%",
    "_c": "°C",
    "_w": "W",
    "_j": "J",
    "_mbps": "Mbit/s",
    "_mhz": "MHz",
    "_px": "px",
    "resolutions": "px",
    "temp_c": "°C",
}


def unit_of(key: str) -> str:
    """Returns the unit of a key; empty if it has none.

    >>> unit_of("intake.default_deadline_ms")
    'ms'
    >>> unit_of("weights.latency_per_s")
    '1/s'
    """
    return next((unit for end, unit in UNITS.items() if key.endswith(end)), "")
