"""Bounds and simplifies a text before it is read."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_READ: Final = 3000
_SIMPLER: Final = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'",
        "\u201c": '"', "\u201d": '"', "\u2010": "-", "\u2013": "-", "\u2212": "-",
        "\u2044": "/",
    }
)  # fmt: skip
# NFKC writes one and a half, a digit with a vulgar fraction, as 11/2.
_MIXED_NUMBER: Final = re.compile("(\\d)([\u00bc-\u00be\u2150-\u215e])")


def fold(text: str, limit: int = MAX_READ) -> str:
    """Returns `text` in NFKC with plain quotes, hyphens and fractions; of a long one its two ends.

    Answers are first or last in a long text, and reading takes a bounded time.

    >>> fold("it isn\u2019t \u201cred\u201d"), len(fold("a" * 100_000))
    ('it isn\\'t "red"', 3000)
    """
    if text.isascii():  # most texts are, and are ten times as fast
        return _clip(text, limit)
    spaced = _MIXED_NUMBER.sub(r"\1 \2", _clip(text, limit))
    return _clip(unicodedata.normalize("NFKC", spaced).translate(_SIMPLER), limit)


def _clip(text: str, limit: int) -> str:
    half = limit // 2
    return text if len(text) <= limit else f"{text[: limit - half - 1]}\n{text[-half:]}"
