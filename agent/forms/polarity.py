"""Whether a text says yes or no."""

from __future__ import annotations

import re
from typing import Final

from agent.forms.folding import fold

_YES: Final = r"(?:yes|yeah|yep|true|correct|certainly|definitely|absolutely|indeed)"
_NO: Final = r"(?:no|nope|nah|false|incorrect|not)"
_LEAD: Final = re.compile(rf"\W*(?:(?P<yes>{_YES})|(?P<no>{_NO}))\b(?! (?:problem|doubt|more than)\b)", re.I)
_VERDICT: Final = re.compile(
    rf"\b(?:answer|conclusion|so|therefore|thus|hence)\b[\s,:*]*(?:is|would be|the answer is)?[\s,:*\"']*"
    rf"(?:(?P<yes>{_YES})|(?P<no>{_NO}))\b",
    re.I,
)
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|"
    r"cannot|lacks?|lacking|absent|unlikely|fails? to|"
    r"isnt|arent|wasnt|doesnt|dont|didnt|cant|wont|couldnt)\b|n't\b",
    re.I,
)
_HEDGE: Final = re.compile(
    r"^\W*if\b|\b(?:might|maybe|perhaps|possibly|depends?|uncertain|unclear|could be|may be|difficult|"
    r"hard to|likely|whether)\b",
    re.I,
)
_OPPOSITES: Final = (
    "open closed", "open shut", "on off", "left right", "full empty", "wet dry", "day night", "above below",
    "inside outside", "indoors outdoors", "indoor outdoor", "same different", "safe dangerous",
    "safe unsafe", "up down", "clean dirty", "awake asleep", "male female", "man woman", "boy girl",
    "old young", "big small", "large small", "tall short", "long short", "hot cold", "light dark",
    "front back", "real fake", "raw cooked", "vegan meat", "potable non-potable", "moving parked",
    "moving stationary", "sitting standing", "alive dead", "empty occupied", "locked unlocked",
    "visible hidden", "happy sad", "new old", "bigger smaller", "larger smaller", "taller shorter",
    "higher lower", "plugged unplugged", "domestic imported", "sunny cloudy", "straight curved",
    "smooth rough", "present absent", "black white", "possible impossible", "legal illegal",
)  # fmt: skip
_OPPOSITE: Final[dict[str, frozenset[str]]] = {}
for _pair in _OPPOSITES:
    _one, _other = _pair.split()
    _OPPOSITE[_one] = _OPPOSITE.get(_one, frozenset()) | {_other}
    _OPPOSITE[_other] = _OPPOSITE.get(_other, frozenset()) | {_one}


_OPEN_END: Final = re.compile(
    r"\b(?:difficult|hard|impossible|not possible) to (?:confirm|determine|tell|say|know)\b|\bit depends\b|"
    r"\bwould depend\b|\bmore (?:information|context)\b",
    re.I,
)
_COMMON: Final = {
    "the", "this", "that", "these", "those", "and", "are", "was", "were", "does", "did", "can", "could",
    "would", "will", "has", "have", "for", "any", "there", "image", "picture", "photo", "they", "you",
    "with",
}  # fmt: skip
_INTENTION: Final = re.compile(
    r"\s*(?:to (?:determine|find|answer|decide|check)|let's|let us|we need)\b", re.I
)
_CONCLUSION: Final = re.compile(
    r"^\W*(?:therefore|thus|hence|so|overall|in conclusion|in summary|consequently|based on this|"
    r"this means)\b|\b(?:therefore|in conclusion)\b",
    re.I,
)
_PREFIXES: Final = re.compile(r"^(?:non-|non|un|in|im|dis|ir)")
_ECHO: Final = re.compile(
    r"\W*(?:it|there|they|he|she|that|this|these|those|i|we|you|one|some) "
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|cannot|can't|won't)(?: not|n't)?\W*",
    re.I,
)


def polarity(text: str, question: str = "") -> float:
    """Returns how clearly `text` answers yes (up to 1) or no (down to -1); near 0 it says neither.

    A leading yes or no counts fully, then "the answer is no", then what the first sentence states.

    >>> polarity("No, it is closed."), polarity("There is no dog in the image.") < 0
    (-1.0, True)
    >>> polarity("The gate is closed.", "Is the gate open?") < 0 < polarity("It is.", "Is it open?")
    True
    >>> polarity("The gate is not closed.", "Is the gate open?") > 0.5
    True
    """
    text, question = fold(text), fold(question)
    if match := _LEAD.match(text):
        return 1.0 if match["yes"] else -1.0
    if verdicts := list(_VERDICT.finditer(text)):
        return 0.9 if verdicts[-1]["yes"] else -0.9
    asked = _words(question)
    sentence, share = _answering(text, set(asked))
    if not sentence:
        return 0.0
    words = _words(sentence)
    contrary = {word for word in words if _PREFIXES.match(word) and _PREFIXES.sub("", word) in asked}
    if opposed(set(asked), set(words)):
        contrary |= {word for word in words if not _OPPOSITE.get(word, frozenset()).isdisjoint(asked)}
    negative = bool(contrary) or _negated(sentence)
    if any(_denied(word, sentence) for word in contrary):
        negative = False  # "not closed" is open
    strength = 0.7
    if _OPEN_END.search(text):
        strength = 0.15
    elif _HEDGE.search(sentence):
        strength = 0.3
    if share < 0.5:
        # Without a word of the question, only a denial is an answer.
        strength *= 0.6 if share or negative else 0.3
    return -strength if negative != _negated(question) else strength


def _negated(text: str) -> bool:
    return _NEGATION.search(text) is not None


def _denied(word: str, text: str) -> bool:
    """Returns whether a negation stands in front of `word`, or of the adverb in front of it."""
    return re.search(rf"(?:{_NEGATION.pattern})(?: \w+)? {word}\b", text, re.I) is not None


def opposed(a: set[str], b: set[str]) -> bool:
    """Returns whether one set of words has the opposite of a word of the other, and not the word itself.

    >>> opposed({"open", "door"}, {"closed", "door"}), opposed({"red"}, {"blue"})
    (True, False)
    """
    return any(
        word not in b and _OPPOSITE[word] & b and not _OPPOSITE[word] & a for word in a & _OPPOSITE.keys()
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:-[a-z]+)?", text.lower())


def _answering(text: str, asked: set[str]) -> tuple[str, float]:
    """Returns the sentence with most of the question's words, the first of equals, and their share."""
    roots = {word[:5] for word in asked if len(word) > 2 and word not in _COMMON}
    best, best_share, best_score = "", 0.0, -1.0
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        if _INTENTION.match(sentence) or not sentence.strip():
            continue
        words = _words(sentence)
        found = {part[:5] for word in words for part in (word, _PREFIXES.sub("", word))}
        found |= {other[:5] for word in words for other in _OPPOSITE.get(word, ())}
        share = len(roots & found) / len(roots) if roots and not _ECHO.fullmatch(sentence) else 1.0
        conclusion = share > 0 and _CONCLUSION.search(sentence) is not None
        # A later conclusion replaces an earlier one.
        score = share + conclusion
        if score > best_score or (conclusion and score == best_score):
            best, best_share, best_score = sentence, share, score
    return best, best_share
