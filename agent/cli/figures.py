"""Numbers as the commands print them: rounded, with a unit, and a dash for a value that is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

UNKNOWN: Final = "-"
PLACES: Final = {"local": "board", "cloud": "cloud"}
# The suffix of a field's name, and the unit that is printed.
UNITS: Final = {
    "ms": "ms",
    "s": "s",
    "j": "J",
    "w": "W",
    "c": "°C",
    "mb": "MB",
    "mbps": "Mbit/s",
    "bytes": "bytes",
}
SHARES: Final = frozenset({"escalated", "audited", "floor", "board_fault", "cloud_fault"})
SHARE_ENDINGS: Final = ("_load", "_ratio", "_pressure", "_share")


def number(value: float, digits: int = 3) -> str:
    """Returns a number with `digits` significant digits, without an exponent; larger ones as whole numbers.

    >>> number(0.1 + 0.2), number(1234567.8), number(0.00123), number(2.0), number(98.76)
    ('0.3', '1,234,568', '0.00123', '2', '98.8')
    """
    if not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    decimals = max(0, min(6, digits - 1 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def amount(value: float | None, unit: str, digits: int = 3) -> str:
    """Returns a number with its unit.

    >>> amount(12.345, "J"), amount(None, "J")
    ('12.3 J', '-')
    """
    return UNKNOWN if value is None or not math.isfinite(value) else f"{number(value, digits)} {unit}"


def milliseconds(value: float | None) -> str:
    """Returns a time: whole milliseconds, or seconds from ten seconds on.

    >>> milliseconds(83.4), milliseconds(0.42), milliseconds(12_345), milliseconds(None)
    ('83 ms', '0.42 ms', '12.3 s', '-')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= 10_000:
        return amount(value / 1e3, "s")
    return amount(value, "ms", 2) if abs(value) < 10 else f"{value:,.0f} ms"


def percent(share: float | None, decimals: int = 0) -> str:
    """Returns a share in percent.

    >>> percent(0.974, 1), percent(None)
    ('97.4%', '-')
    """
    return UNKNOWN if share is None or not math.isfinite(share) else f"{share * 100:.{decimals}f}%"


def size(count: float) -> str:
    """Returns a number of bytes in a unit that fits.

    >>> size(512), size(200_000), size(3 * 2**20)
    ('512 bytes', '195 KiB', '3 MiB')
    """
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= limit:
            return amount(count / limit, unit)
    return "1 byte" if count == 1 else amount(count, "bytes")


def within(interval: Mapping[str, Any] | None, decimals: int = 1) -> str:
    """Returns an estimate and its interval in percent.

    >>> within({"low": 0.955, "estimate": 0.978, "high": 1.001})
    '97.8% (95.5 to 100.1%)'
    """
    if not interval:
        return UNKNOWN
    low, estimate, high = (float(interval[name]) for name in ("low", "estimate", "high"))
    return f"{percent(estimate, decimals)} ({low * 100:.{decimals}f} to {percent(high, decimals)})"


def labelled(name: str, value: Any) -> str:
    """Returns a field of a message as words: the unit of its name behind the value.

    >>> labelled("power_w", 7.1234), labelled("throttled", False), labelled("edge_share", 0.5)
    ('power 7.12 W', 'throttled no', 'edge share 50%')
    """
    if isinstance(value, bool):
        return f"{_words(name)} {'yes' if value else 'no'}"
    if isinstance(value, Mapping):
        if {"low", "estimate", "high"} <= value.keys():
            return f"{_words(name)} {within(value)}"
        return f"{_words(name)} ({', '.join(labelled(str(key), inner) for key, inner in value.items())})"
    if isinstance(value, (list, tuple)):
        return f"{_words(name)} {', '.join(_plain(inner) for inner in value) or UNKNOWN}"
    if not isinstance(value, (int, float)):
        return f"{_words(name)} {_plain(value)}"
    if name in SHARES or name.endswith(SHARE_ENDINGS):
        return f"{_words(name)} {percent(value)}"
    if name.endswith("_pct"):
        return f"{_words(name.removesuffix('_pct'))} {percent(value / 100)}"
    stem, _, suffix = name.rpartition("_")
    if stem and suffix in UNITS:
        return f"{_words(stem)} {amount(value, UNITS[suffix])}"
    return f"{_words(name)} {_plain(value)}"


def _plain(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
