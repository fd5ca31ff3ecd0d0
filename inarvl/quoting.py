"""Quotes text of others in messages, at a bounded length."""

from __future__ import annotations

MAX_QUOTED = 200


def quoted(value: object) -> str:
    """Returns a string as a literal of at most about MAX_QUOTED characters, or the type of anything else.

    >>> quoted("cloudy"), quoted(["local"])
    ("'cloudy'", 'a list')
    >>> len(quoted("x" * 10_000))
    205
    """
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    return repr(value) if len(value) <= MAX_QUOTED else f"{value[:MAX_QUOTED]!r}..."
