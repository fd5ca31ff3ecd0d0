"""The words of a question as a few numbers, by which the same way of asking is known again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

PLACES: Final = 16


def wording(words: Iterable[str]) -> tuple[int, ...]:
    """Each word adds 1 to one of `PLACES` sums, or takes 1 from it; the sums are held within -1 and 1.

    This is signed feature hashing (Weinberger et al. 2009, arXiv 0902.2206): words that share a place cancel
    rather than add up. No language is assumed, and the order of the words does not matter.

    >>> wording(["is", "it", "red"]) == wording(["red", "is", "it", "it"])
    True
    """
    sums = [0] * PLACES
    for word in set(words):
        code = crc32(word.encode(errors="replace"))
        sums[code % PLACES] += 1 if code & 0x10000 else -1
    return tuple(max(-1, min(1, total)) for total in sums)
