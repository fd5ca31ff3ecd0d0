"""Compares two JSON answers field by field."""

from __future__ import annotations

from typing import Any, Final

from agent.agreement.words import stems
from agent.forms.folding import fold
from agent.forms.value import parsed

MAX_LEAVES: Final = 5000
MAX_DEPTH: Final = 50
Leaves = dict[tuple[str | int, ...], object]


def same_share(a: str, b: str) -> float | None:
    """Returns the share of scalars that are equal at the same path; None if a text is no JSON or too big.

    >>> same_share('{"cars": 2, "bus": "Red"}', '{"bus": "red", "cars": 3}')
    0.5
    """
    one, other = (_leaves(parsed(text)) for text in (a, b))
    if one is None or other is None:
        return None
    places = one.keys() | other.keys()
    return sum(place in one and place in other and one[place] == other[place] for place in places) / len(
        places
    )


def _leaves(value: Any) -> Leaves | None:
    """Returns the scalars of a JSON value by their paths, strings as stems."""
    if value is None:
        return None
    leaves: Leaves = {}
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if len(path) > MAX_DEPTH or len(leaves) + len(waiting) > MAX_LEAVES:
            return None
        if isinstance(item, dict) and item:
            waiting += [((*path, key), child) for key, child in item.items()]
        elif isinstance(item, list) and item:
            waiting += [((*path, at), child) for at, child in enumerate(item)]
        elif isinstance(item, (bool, str)):
            leaves[path] = item if isinstance(item, bool) else tuple(stems(fold(item)))
        else:
            leaves[path] = (
                repr(float(item)) if isinstance(item, (int, float)) and abs(item) < 1e300 else repr(item)
            )
    return leaves
