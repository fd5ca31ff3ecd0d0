"""The field `asked_at` of a query: when its sender asked."""

from __future__ import annotations

import re
from datetime import datetime

LATEST_S = 32_503_680_000.0  # the year 3000; more is in milliseconds
RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


def seconds_since_1970(value: object) -> float:
    """Reads a number of seconds since 1970, or the text of one, or a time as in RFC 3339.

    Raises:
        ValueError: it is none of these.

    >>> seconds_since_1970("2026-11-30T01:00:00.5+01:00") == seconds_since_1970("1795996800.5")
    True
    """
    if isinstance(value, str):
        return _time(value) if RFC_3339.fullmatch(value) else seconds_since_1970(float(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < LATEST_S:
        raise ValueError("no time in seconds since 1970")
    return float(value)


def _time(text: str) -> float:
    found = RFC_3339.fullmatch(text)
    assert found is not None
    day, clock, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    whole = datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp()
    return whole + (float(f"0.{fraction}") if fraction else 0.0)
