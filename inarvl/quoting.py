"""Quotes values of others in messages, at a bounded length."""

from __future__ import annotations

MAX_QUOTED = 200
MAX_INTEGER = 10**18  # converting a longer one to text may take long, or be refused by Python
KINDS = {list: "a list", dict: "an object", int: "a very long number"}


def quoted(value: object) -> str:
    """Returns a JSON value as a Python literal of at most about MAX_QUOTED characters, or its kind.

    >>> quoted("cloudy"), quoted(3), quoted(["local"])
    ("'cloudy'", '3', 'a list')
    >>> len(quoted("x" * 10_000))
    205
    """
    if isinstance(value, str):
        return repr(value) if len(value) <= MAX_QUOTED else f"{value[:MAX_QUOTED]!r}..."
    if (
        value is None
        or isinstance(value, bool | float)
        or (isinstance(value, int) and abs(value) < MAX_INTEGER)
    ):
        return repr(value)
    return KINDS.get(type(value), "another value")
