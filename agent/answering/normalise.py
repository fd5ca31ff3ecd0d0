"""When two answers count as the same."""

from __future__ import annotations

import re
import unicodedata

ARTICLES = {"a", "an", "the"}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(n) for n, word in enumerate(WORDS)} | {"none": "0"}


def normalise(answer: str) -> str:
    """Lower case, without articles and punctuation, number words as digits: VQA's rules (Antol et al. 2015).

    >>> normalise("The Two, red ones."), normalise("It isn't.")
    ('2 red ones', 'it isnt')
    """
    text = re.sub("['\u2019]", "", unicodedata.normalize("NFKC", answer).lower())
    text = re.sub(r"[.,](?!\d)|[^\w\s.,%+-]", " ", text)
    words = [NUMBERS.get(word, word) for word in text.split() if word not in ARTICLES]
    return " ".join(words)
