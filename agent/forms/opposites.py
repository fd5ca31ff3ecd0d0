"""Words that exclude each other, and the roots of words by which they are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_PAIRS: Final = (
    "open closed", "open shut", "on off", "left right", "full empty", "wet dry", "day night", "above below",
    "inside outside", "indoors outdoors", "indoor outdoor", "same different", "safe dangerous",
    "safe unsafe", "up down", "clean dirty", "awake asleep", "male female", "man woman", "boy girl",
    "old young", "big small", "large small", "tall short", "long short", "hot cold", "light dark",
    "front back", "real fake", "raw cooked", "vegan meat", "potable non-potable", "moving parked",
    "moving stationary", "sitting standing", "alive dead", "empty occupied", "locked unlocked",
    "visible hidden", "happy sad", "new old", "bigger smaller", "larger smaller", "taller shorter",
    "higher lower", "plugged unplugged", "domestic imported", "sunny cloudy", "straight curved",
    "smooth rough", "present absent", "possible impossible", "legal illegal",
    "allow forbid", "allow prohibit", "permit forbid", "permit prohibit", "correct wrong", "right wrong",
)  # fmt: skip
_COLOURS: Final = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "black", "white")
_ENDING: Final = re.compile(r"(?<=...)(?:ing|ed|es|e|s)$")
_DOUBLED: Final = re.compile(r"(.)\1$")
ROOT_LENGTH: Final = 5


@lru_cache(maxsize=1024)
def root(word: str) -> str:
    """Returns the first letters of a lower-case word without a common ending.

    >>> root("closed"), root("close"), root("dogs"), root("sitting"), root("imported")
    ('clos', 'clos', 'dog', 'sit', 'impor')
    """
    return _DOUBLED.sub(r"\1", _ENDING.sub("", word))[:ROOT_LENGTH]


_OPPOSITE: Final[dict[str, frozenset[str]]] = {}
for _one, _other in [
    *(pair.split() for pair in _PAIRS),
    *((one, other) for one in _COLOURS for other in _COLOURS if one < other),
]:
    for _word, _excluded in ((_one, _other), (_other, _one)):
        _OPPOSITE[root(_word)] = _OPPOSITE.get(root(_word), frozenset()) | {root(_excluded)}


def opposites(word: str) -> frozenset[str]:
    """Returns the roots of the words that `word` excludes.

    >>> opposites("opened") == {root("closed"), root("shut")}
    True
    """
    return _OPPOSITE.get(root(word), frozenset())


def opposed(a: Iterable[str], b: Iterable[str]) -> bool:
    """Returns whether one of both has the opposite of a word of the other, and not the word itself.

    >>> opposed({"open", "door"}, {"closed", "door"}), opposed({"green", "blue"}, {"red"})
    (True, True)
    >>> opposed({"black", "white"}, {"white"}), opposed({"red"}, {"round"})
    (False, False)
    """
    one, other = set(map(root, a)), set(map(root, b))
    return _excludes(one, other) or _excludes(other, one)


def _excludes(one: set[str], other: set[str]) -> bool:
    return any(
        word not in other and _OPPOSITE[word] & other and not _OPPOSITE[word] & one
        for word in one & _OPPOSITE.keys()
    )
