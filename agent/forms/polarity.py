"""Whether a text says yes or no."""

from __future__ import annotations

import re
from typing import Final

from agent.forms.asked import PREFIXES, Asked, words_of
from agent.forms.folding import fold
from agent.forms.opposites import opposed, opposites, root

_YES: Final = r"(?:yes|yeah|yep|true|correct|certainly|definitely|absolutely|indeed|affirmative)"
_NO: Final = r"(?:no|nope|nah|false|incorrect|not|none|negative)"
_LEAD: Final = re.compile(rf"\W*(?:(?P<yes>{_YES})|(?P<no>{_NO}))\b(?! (?:problem|doubt|more than)\b)", re.I)
_VERDICT: Final = re.compile(
    rf"\b(?:answer|conclusion|so|therefore|thus|hence)\b[\s,:*]*(?:is|would be|the answer is)?[\s,:*\"']*"
    rf"(?:(?P<yes>{_YES})|(?P<no>{_NO}))\b",
    re.I,
)
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|cannot|"
    r"isnt|arent|wasnt|doesnt|dont|didnt|cant|wont|couldnt)\b|n't\b",
    re.I,
)
_DENIAL: Final = re.compile(
    r"\b(?:lack|absent|unlikely|fail|prohibit|forbid|unable|out of|too (?:\w+ ){1,2}(?:to|for)\b)[a-z]*", re.I
)
_WITHOUT: Final = re.compile(
    r"\b(?:without|instead of|rather than|free of) (?:(?:an?|any|the|his|her|its) )?([a-z]+)|"
    r"\b([a-z]+)-free\b",
    re.I,
)
_EMPTY: Final = re.compile(r"\b(?:empty|deserted)\b", re.I)
_EQUAL: Final = re.compile(r"\b(?:same|equal(?:ly)?|identical)\b|\bas \w+ as\b", re.I)
_ASKED_DOUBTFULLY: Final = re.compile(r"\W*[a-z]+n't\b", re.I)
_HEDGE: Final = re.compile(
    r"^\W*if\b|\b(?:might|maybe|perhaps|possibly|depends?|uncertain|unclear|could be|may be|difficult|"
    r"hard to|likely|whether)\b",
    re.I,
)
_OPEN_END: Final = re.compile(
    r"\b(?:difficult|hard|impossible|not possible) to (?:confirm|determine|tell|say|know)\b|\bit depends\b|"
    r"\bwould depend\b|\bmore (?:information|context)\b|\bto be (?:certain|sure)\b|"
    r"\bneeds? to (?:check|verify|consider|know)\b|\b(?:essential|important|necessary) to (?:check|verify)\b|"
    r"\btoo (?:\w+ ){1,3}to (?:tell|say|see|determine|read|know)\b|"
    r"\b(?:unclear|uncertain|not clear|not certain|not sure) (?:if|whether)\b",
    re.I,
)
STATED, HEDGED, VAGUE = 0.7, 0.3, 0.15


def polarity(text: str, question: str = "") -> float:
    """Returns how clearly `text` answers yes (up to 1) or no (down to -1); near 0 it says neither.

    A leading yes or no counts fully, then "the answer is no", then what the answering sentence states.

    >>> polarity("No, it is closed."), polarity("There is no dog in the image.") < 0
    (-1.0, True)
    >>> polarity("The gate is closed.", "Is the gate open?") < 0 < polarity("It is.", "Is it open?")
    True
    >>> polarity("The gate is not closed.", "Is the gate open?") > 0.5
    True
    """
    text, question = fold(text), fold(question)
    if explicit := verdict(text):
        return explicit
    asked = Asked(question)
    sentence, share = asked.answering(text)
    if not sentence:
        return 0.0
    negative = _denies(sentence, asked)
    elsewhere = bool(asked.predicate) and asked.predicate.isdisjoint(asked.mentioned(sentence))
    if elsewhere and share < 1 and not negative:
        # "The fence is painted" where the question is whether it is made of wood.
        if asked.begins_with_it(sentence):
            return VAGUE if share else -VAGUE
        return -VAGUE if share else 0.0
    strength = VAGUE if _OPEN_END.search(text) else HEDGED if _HEDGE.search(sentence) else STATED
    if share < 0.5:
        # Without a word of the question, only a denial is an answer.
        strength *= 0.6 if share or negative else 0.3
    return -strength if negative != _negated(_ASKED_DOUBTFULLY.sub("", question, count=1)) else strength


def leaves_open(text: str) -> bool:
    """Returns whether `text` says somewhere that the answer depends on something or cannot be known.

    >>> leaves_open("It is hard to tell."), leaves_open("It is closed.")
    (True, False)
    """
    return _OPEN_END.search(fold(text)) is not None


def verdict(text: str) -> float:
    """Returns the polarity of a yes or no that leads or concludes `text`; 0 without one.

    >>> verdict("Yes, it is."), verdict("It has a lock, so the answer is no."), verdict("It is closed.")
    (1.0, -0.9, 0.0)
    """
    text = fold(text)
    if match := _LEAD.match(text):
        return 1.0 if match["yes"] else -1.0
    verdicts = list(_VERDICT.finditer(text))
    return 0.0 if not verdicts else 0.9 if verdicts[-1]["yes"] else -0.9


def _denies(sentence: str, asked: Asked) -> bool:
    """Returns whether a sentence says no, by a negation, an opposite, or the other order of a comparison."""
    clauses = re.split(r"[,;:]\s", sentence)
    clause = max(clauses, key=lambda part: len(asked.mentioned(part)))
    sentence = clause if asked.mentioned(clause) else sentence
    words = words_of(sentence)
    contrary = {word for word in words if PREFIXES.match(word) and PREFIXES.sub("", word) in asked.words}
    if opposed(asked.words, words):
        contrary |= {word for word in words if not opposites(word).isdisjoint(map(root, asked.words))}
    if any(_denied(word, sentence) for word in contrary):
        return False  # "not closed" is open
    negative = bool(contrary) or _negated(sentence)
    negative |= any(root(word.lower()) not in asked.roots for word in _DENIAL.findall(sentence))
    negative |= any(root((m[1] or m[2]).lower()) in asked.roots for m in _WITHOUT.finditer(sentence))
    negative |= asked.of_existence and _EMPTY.search(sentence) is not None
    if asked.compared:
        first, second = asked.compared
        subject = asked.stated(re.split(r"\bthan\b", sentence)[0])
        swapped = bool(subject & second) and not subject & first
        return bool(_EQUAL.search(sentence)) or negative != swapped
    return negative


def _negated(text: str) -> bool:
    return _NEGATION.search(text) is not None


def _denied(word: str, text: str) -> bool:
    """Returns whether a negation stands in front of `word`, or of the adverb in front of it."""
    return re.search(rf"(?:{_NEGATION.pattern})(?: \w+)? {word}\b", text, re.I) is not None
