"""The choices that a question itself names: "Select one: (A) red (B) blue" or "Is it red or blue?"."""

from __future__ import annotations

import re
from typing import Final

from agent.forms.folding import fold

LETTERS: Final = "ABCDEFGHIJ"
_LABEL: Final = re.compile(r"(?:^|(?<=[\s:;,.?]))(?:\(([A-J])\)|([A-J])[.):](?=\s))")
_OR: Final = re.compile(r"([^.,;:?!]+?),?\s+or\s+([^.,;:?!]+)[?.!]*\s*$", re.IGNORECASE)
_ARTICLES: Final = {"a", "an", "the"}
_PLACES: Final = {"in", "on", "at", "of", "here", "there", "from", "by", "near", "with"}
_FILLERS: Final = {"it", "is", "are", "this", "that", "he", "she", "they", "was", "were"} | _ARTICLES
MAX_WORDS: Final = 4


def lettered(question: str) -> tuple[str, ...]:
    """Returns the choices listed behind letters from A; a choice without text is named by its letter.

    >>> lettered("What colour is it? Select one: (A) dark red (B) blue")
    ('dark red', 'blue')
    >>> lettered("Which point is closer? (A) (B)")
    ('A', 'B')
    """
    question = fold(question)
    found = list(_LABEL.finditer(question))
    choices: list[str] = []
    for at, match in enumerate(found):
        letter = match[1] or match[2]
        if len(choices) >= len(LETTERS) or letter != LETTERS[len(choices)]:
            continue
        following = [m for m in found[at + 1 :] if (m[1] or m[2]) == LETTERS[(len(choices) + 1) % 10]]
        end = following[0].start() if following else len(question)
        choices.append(question[match.end() : end].strip(" \t\n;,.") or letter)
    return tuple(choices) if len(choices) > 1 else ()


def either(question: str) -> tuple[str, ...]:
    """Returns the choices of a question "is it X or Y?", or none.

    >>> either("Is the door open or closed?"), either("Is that a cat or a small dog?")
    (('open', 'closed'), ('cat', 'small dog'))
    >>> either("Is it raining or not?"), either("Is there a car or a bus in the street?")
    ((), ())
    """
    match = _OR.search(fold(question))
    if match is None or re.search(r"\b(?:there|any|anyone|anything)\b", match[1], re.IGNORECASE):
        return ()
    articled = match[2].split()[0].lower() in _ARTICLES
    right = [word for word in match[2].split() if word.lower() not in _FILLERS]
    cut = next((at for at, word in enumerate(right) if word.lower() in _PLACES and at), len(right))
    right = right[:cut]
    if not 0 < len(right) <= MAX_WORDS or right[0].lower() in {"no", "not"}:
        return ()
    left = _left(match[1].split(), len(right), articled)
    if not left or " ".join(left).lower() == " ".join(right).lower():
        return ()
    return " ".join(left), " ".join(right)


def _left(words: list[str], length: int, articled: bool) -> list[str]:
    """Returns the last words before "or": from an article on if the other side has one, else as many."""
    near = words[-MAX_WORDS:]
    for back, word in enumerate(reversed(near), 1):
        if articled and word.lower() in _ARTICLES and back > 1:
            return near[-back + 1 :]
    return [word for word in near[-length:] if word.lower() not in _FILLERS]
