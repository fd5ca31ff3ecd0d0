"""Values from a remote server: JSON, numbers and texts, each with a bound. None of these functions raises."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_COUNT = 10**15


def parse_json(content: bytes) -> Any:
    """Returns the JSON value in `content`; None if it is not JSON or is nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def clean_text(value: object, limit: int | None = None) -> str:
    """Returns a text that can be encoded as UTF-8, at most `limit` characters long; "" if it is no text."""
    if not isinstance(value, str):
        return ""
    return value[:limit].encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def finite(value: object, low: float, high: float) -> float | None:
    """Returns a number from `low` to `high`; None for anything else, and for NaN."""
    valid = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    return float(value) if valid else None  # type: ignore[arg-type]


def count(value: object, high: int = MAX_COUNT) -> int | None:
    """Returns an integer from 1 to `high`; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= high else None


def objects(value: object, limit: int) -> Sequence[Mapping[str, Any]]:
    """Returns the JSON objects among the first `limit` entries of a JSON list; none if it is no list."""
    return [item for item in value[:limit] if isinstance(item, Mapping)] if isinstance(value, list) else []


def retry_after_s(header: str | None) -> float | None:
    """Reads the seconds in a Retry-After header, at most an hour; None if it has none, or has a date."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(seconds, 3600.0) if math.isfinite(seconds) and seconds >= 0 else None
