"""The number that an answer gives, among all the numbers that it mentions."""

from __future__ import annotations

import re
from typing import Final

from agent.forms.folding import fold
from agent.forms.quantity import Quantity, quantities

_CONCLUSION: Final = re.compile(
    r"\b(?:answer|therefore|thus|hence|in conclusion|result|final|altogether|pays?|so)\b|=", re.IGNORECASE
)
_SUM: Final = re.compile(r"\btotal\b", re.IGNORECASE)
_OPERATOR: Final = re.compile(r"\s*(?:[=+*/\u00f7\u00d7-]|\\(?:times|div|cdot))\s*[$\u00a3\u20ac\d]")
MAX_AT_ENDS: Final = 30
_NONE: Final = re.compile(
    r"(?:^|\b(?:there (?:is|are|were|was)|see|shows?|contains?|has|have|with)\s+)"
    r"(?:no|zero|not any|n't any)\b",
    re.IGNORECASE,
)
_LONE: Final = re.compile(
    r"\b(?:there (?:is|appears to be|seems to be)|shows?|features?|see) (?:an?|only an?) (?=[a-z])",
    re.IGNORECASE,
)
_COUNTED: Final = re.compile(
    r"\b(?:how many|number of|count the)\s+((?:[a-z]+\s+){0,2}?[a-z]+)", re.IGNORECASE
)


def headline(text: str, question: str = "") -> Quantity | None:
    """Returns the number that `text` answers with, or None without one.

    Numbers that the question has already do not count while others are present. Of the rest, the best is in
    bold, in a conclusion, before the thing that the question counts, or else the first.

    >>> headline("Of the 4 rows, two have 3 cars each, so there are **6** cars.").value
    6.0
    >>> headline("There are no cars.").value, headline("It is red.")
    (0.0, None)
    """
    text, question = fold(text), fold(question)
    found = quantities(text)
    asked = quantities(question)
    new = [q for q in found if not any(q.value == other.value for other in asked)] or found
    counted = _COUNTED.search(question)
    summed = bool(_SUM.search(question))
    nouns = {word[:4] for word in counted[1].lower().split()} if counted else set()
    first = re.search(r"[.!?](?=\s|$)|\n", text)
    first_end = first.start() if first else len(text)
    if not new or new[0].start > first_end:
        implied = _implied(text[:first_end], bool(counted) or not question)
        if implied is not None:
            return implied
    if not new:
        return None
    if len(new) > 2 * MAX_AT_ENDS:
        new = new[:MAX_AT_ENDS] + new[-MAX_AT_ENDS:]
    lines = [
        (m.start(), m.end(), m[0]) for m in re.finditer(r"[^\n.!?]*(?:[.!?](?!\s|$)[^\n.!?]*)*", text) if m[0]
    ]
    return max(new, key=lambda q: (_score(q, text, _line(lines, q), nouns, first_end, summed), -q.start))


def _line(lines: list[tuple[int, int, str]], quantity: Quantity) -> str:
    return next((line for start, end, line in lines if start <= quantity.start < end), "")


def _implied(sentence: str, counting: bool) -> Quantity | None:
    """Returns the count in "there are no cars" or "there is a car"."""
    if none := _NONE.search(sentence):
        return Quantity(0.0, start=none.start(), end=none.end())
    if counting and (lone := _LONE.search(sentence)):
        return Quantity(1.0, start=lone.start(), end=lone.end())
    return None


def _score(quantity: Quantity, text: str, line: str, nouns: set[str], first_end: int, summed: bool) -> float:
    score = 1.0 if quantity.start < first_end else 0.0
    if text[max(0, quantity.start - 12) : quantity.start].count("**") == 1:
        score += 1.5
    if _CONCLUSION.search(line):
        score += 1.2 + quantity.start / len(text)
    if summed and _SUM.search(line):
        score += 1.2
    if _OPERATOR.match(text, quantity.end):
        score -= 1.0
    following = re.match(r"[^\d]{0,40}", text[quantity.end :].lower())
    words = re.findall("[a-z]+", following[0])[:3] if following else []
    return score + (1.2 if nouns & {word[:4] for word in words} else 0.0)
