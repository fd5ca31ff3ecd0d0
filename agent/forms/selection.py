"""Which of the choices an answer names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent.forms.alternatives import LETTERS
from agent.forms.folding import fold

_ALONE: Final = re.compile(r"\W*([A-Ja-j])\W*")
_LEAD: Final = re.compile(r"\W*\(([A-J])\)|\W*([A-J])[.):]?(?=\s*(?:$|\n|[-:]))|\W*([A-J])[.):]\s")
_VERDICT: Final = re.compile(
    r"\b(?:answer|option|choice|choose|select|selection)\b(?:\s+\w+){0,3}?[\s:*\"'(\[]*\(?\b([A-J])\b(?!')",
    re.IGNORECASE,
)
_BRACKETED: Final = re.compile(r"\(([A-J])\)")
_NEGATION: Final = re.compile(
    r"\b(?:not|no|isn't|aren't|rather than|instead of|than)\s+(?:(?!but\b)\w+\s+){0,2}$", re.I
)


def selected(choices: Sequence[str], text: str) -> int | None:
    """Returns the place in `choices` of the one that `text` names, by its words or its letter, or None.

    >>> selected(("red", "dark blue"), "It is dark blue."), selected(("red", "blue"), "Answer: (B)")
    (1, 1)
    >>> selected(("red", "blue"), "not red but blue"), selected(("red", "blue"), "red and blue")
    (1, None)
    """
    text = fold(text)
    plain = _plain(text)
    names = [_plain(choice) for choice in choices]
    if plain in names:
        return names.index(plain)
    letter = _letter(text, len(choices))
    if letter is not None:
        return letter
    lettered = all(name == letter.lower() for name, letter in zip(names, LETTERS, strict=False))
    return _point(text, len(choices)) if lettered else _named(names, plain)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:[.,/][^\W_]+)*|[%$£€+-]", text.casefold()))


def _letter(text: str, count: int) -> int | None:
    """Returns the choice named by a letter: alone, in front, after "the answer is", or in brackets."""
    match = _ALONE.fullmatch(text)
    if match is None:
        verdicts = [m for m in _VERDICT.finditer(text) if m[1].isupper()]
        brackets = _BRACKETED.findall(text)
        lead = _LEAD.match(text)
        if lead is not None:
            return _place(lead[1] or lead[2] or lead[3], count)
        if verdicts:
            return _place(verdicts[-1][1], count)
        return _place(brackets[-1], count) if brackets else None
    return _place(match[1], count)


def _point(text: str, count: int) -> int | None:
    """Returns the first capital letter that stands alone, as in "Point B is closer"."""
    match = re.search(r"\b([B-J])\b(?!')|(?<=[a-z] )\b(A)\b(?!')", text)
    return _place(match[1] or match[2], count) if match else None


def _place(letter: str, count: int) -> int | None:
    place = LETTERS.index(letter.upper())
    return place if place < count else None


def _named(names: Sequence[str], plain: str) -> int | None:
    """Returns the only choice whose words stand in `plain` and are not negated."""
    padded = f" {plain} "
    found: list[tuple[int, int]] = []
    for place, name in enumerate(names):
        within = [at for at in _places(f" {name} ", padded) if not _NEGATION.search(padded[: at + 1])]
        if name and within:
            found.append((place, within[-1]))
    longest = [
        (place, at)
        for place, at in found
        if not any(names[place] in names[other] and other != place for other, _ in found)
    ]
    return longest[0][0] if len(longest) == 1 else None


def _places(name: str, text: str) -> list[int]:
    places, at = [], text.find(name)
    while at >= 0:
        places.append(at)
        at = text.find(name, at + 1)
    return places
