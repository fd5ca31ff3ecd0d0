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
_QUESTION_WORDS: Final = {"what", "which", "who", "whose", "where", "when", "how", "why"}
_AUXILIARIES: Final = {
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "should", "has",
    "have", "had",
}  # fmt: skip
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
    """Returns the choices of a question "is it X or Y?" or "is it X, Y or Z?", or none.

    >>> either("Is the door open or closed?"), either("Is that a cat or a small dog?")
    (('open', 'closed'), ('cat', 'small dog'))
    >>> either("Is the lamp red, dark blue, or green?"), either("Which colour has it, red or blue?")
    (('red', 'dark blue', 'green'), ('red', 'blue'))
    >>> either("Is it raining or not?"), either("Is there a car or a bus in the street?")
    ((), ())
    """
    question = fold(question)
    match = _OR.search(question)
    if match is None:
        return ()
    clause = re.split(r"[.;:?!]\s", question[: match.end(1)])[-1]
    if re.search(r"\b(?:there|any|anyone|anything)\b", clause, re.IGNORECASE):
        return ()
    articled = match[2].split()[0].lower() in _ARTICLES
    right = [word for word in match[2].split() if word.lower() not in _FILLERS]
    if len(right) > 1 and right[0].lower() in _PLACES:
        del right[0]
    cut = next((at for at, word in enumerate(right) if word.lower() in _PLACES and at), len(right))
    right = right[:cut]
    if not 0 < len(right) <= MAX_WORDS or right[0].lower() in {"no", "not"}:
        return ()
    found = [" ".join(words) for words in (*_before(clause, len(right), articled), right)]
    if not all(found) or len({choice.lower() for choice in found}) < len(found) or len(found) > len(LETTERS):
        return ()
    return tuple(found)


def _before(clause: str, length: int, articled: bool) -> list[list[str]]:
    """Returns the words of the choices before "or": one, or several in a list with commas."""
    parts = [part.split() for part in clause.split(",")]
    choices: list[list[str]] = []
    while parts:
        words = parts.pop()
        begins = words[0].lower() if words else ""
        if choices and begins in _QUESTION_WORDS:
            break
        listed = parts and 0 < len(words) <= MAX_WORDS and begins not in _AUXILIARIES
        choices.insert(0, _content(words) if listed else _left(words, length, articled))
        if not listed:
            break
    return choices


def _left(words: list[str], length: int, articled: bool) -> list[str]:
    """Returns the last words before "or": from an article on if the other side has one, else as many."""
    near = words[-MAX_WORDS:]
    for back, word in enumerate(reversed(near), 1):
        if articled and word.lower() in _ARTICLES and back > 1:
            return near[-back + 1 :]
    return _content(near[-length:])


def _content(words: list[str]) -> list[str]:
    return [word for word in words if word.lower() not in _FILLERS]
