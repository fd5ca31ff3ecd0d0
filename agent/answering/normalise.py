"""Normalises answers, so that equal answers can be recognised."""

from __future__ import annotations

import re
import unicodedata

ARTICLES = {"a", "an", "the"}
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DIGITS = {word: str(n) for n, word in enumerate(NUMBER_WORDS)} | {"none": "0"}


def normalise(answer: str) -> str:
    """Returns `answer` in lower case, without articles and punctuation, with number words as digits.

    These are the rules of VQA (Antol et al. 2015).

    >>> normalise("The Two, red ones."), normalise("It isn't.")
    ('2 red ones', 'it isnt')
    """
    text = re.sub("['\u2019]", "", unicodedata.normalize("NFKC", answer).lower())
    text = re.sub(r"[.,](?!\d)|[^\w\s.,%+-]", " ", text)
    words = [DIGITS.get(word, word) for word in text.split() if word not in ARTICLES]
    return " ".join(words)
