"""Recognises answers that are none: empty, "unknown", or a refusal."""

from __future__ import annotations

import re
from typing import Final

from agent.forms.folding import fold

_UNKNOWN: Final = {
    "",
    "unknown",
    "n/a",
    "na",
    "none given",
    "not known",
    "unclear",
    "unsure",
    "not sure",
    "?",
}
_CANNOT: Final = r"(?:can(?:no|')t|can not|could ?n't|could not|am (?:not able|unable) to|unable to)"
_REFUSAL: Final = re.compile(
    rf"\bi(?:'m| am)? (?:really )?(?:do not|don'?t|did not) (?:know|have (?:any |enough |the )?"
    rf"(?:information|access|context))|"
    rf"\b{_CANNOT} (?:\w+ ){{0,2}}?(?:determine|tell|see|say|identif\w*|read|answer|provide|view|process|"
    rf"confirm|be determined|be identified|be read|recogni[sz]e|discern|assist|help|know|access|ascertain)|"
    r"\b(?:impossible|not possible|difficult|hard|not clear enough|insufficient information|no way) to "
    r"(?:determine|tell|say|identify|read|know|see|confirm|answer|ascertain|discern)|"
    r"\bnot (?:enough|sufficient) (?:information|context|detail)|"
    r"\b(?:is|are) (?:not|n't) (?:clearly |fully |directly |explicitly )?(?:visible|legible|readable|"
    r"specified|provided|stated|mentioned|given|shown|clear|discernible|identifiable)\b|"
    r"\bdoes (?:not|n't) (?:\w+ )?(?:provide|specify|state|mention|indicate|show|contain|include)"
    r" (?:any |enough |a |the |specific |clear )*(?:information|name|details?|number|specific|context|text)|"
    r"\bi apologi[sz]e\b|\bi (?:should not|shouldn't|will not|won't) (?:identify|name|provide)\b|"
    r"\bas an ai\b|\bi(?:'m| am) (?:sorry|not sure|unsure|not certain|not able)\b|\bsorry,|"
    r"\bunknown\b|\billegible\b",
    re.IGNORECASE,
)
_PRESENCE: Final = re.compile(
    r"(?:^|[.!?,:]\s)\W{0,9}(?:(?:is|are|was|were) there|(?:do|can|could) you (?:see|find|spot|notice)|"
    r"(?:do|does) (?:the|this|these|it) (?:\w+ )?(?:show|contain|include|have))\b",
    re.IGNORECASE,
)
_ABSENCE: Final = re.compile(
    rf"\b{_CANNOT} (?:\w+ )?(?:see|identify|discern|recogni[sz]e) (?:an?|any|one|such)\b"
    r"(?! (?:\w+ )?(?:images?|pictures?|photos?|attachments?|files?)\b)|"
    r"\b(?:is|are) not (?:visible|shown)\b",
    re.IGNORECASE,
)
_HEAD: Final = 240


def is_unknown(text: str) -> bool:
    """Returns whether `text` is no answer at all: empty or a word for "unknown".

    >>> is_unknown(" Unknown. "), is_unknown("not red")
    (True, False)
    """
    return len(text) < 200 and re.sub(r"[\s.!*_`\"']+", " ", text).strip().lower() in _UNKNOWN


def refuses(text: str, question: str = "") -> bool:
    """Returns whether `text` begins by saying that the question cannot be answered.

    If the question asks whether something is there, "I cannot see a ..." is an answer: no.

    >>> refuses("I cannot determine the colour from this image."), refuses("It is not red.")
    (True, False)
    >>> refuses("I cannot see a lid."), refuses("I cannot see a lid.", "Is there a lid?")
    (True, False)
    """
    if is_unknown(text):
        return True
    head = fold(text[:_HEAD])
    if _PRESENCE.search(fold(question)):
        head = _ABSENCE.sub(" ", head)
    return _REFUSAL.search(head) is not None
