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
    r"\bas an ai\b|\bi(?:'m| am) (?:sorry|not sure|unsure|not certain|not able)\b|\bsorry,|"
    r"\bunknown\b|\billegible\b",
    re.IGNORECASE,
)
_HEAD: Final = 240


def is_unknown(text: str) -> bool:
    """Returns whether `text` is no answer at all: empty or a word for "unknown".

    >>> is_unknown(" Unknown. "), is_unknown("not red")
    (True, False)
    """
    return len(text) < 200 and re.sub(r"[\s.!*_`\"']+", " ", text).strip().lower() in _UNKNOWN


def refuses(text: str) -> bool:
    """Returns whether `text` begins by saying that the question cannot be answered.

    >>> refuses("I cannot determine the colour from this image."), refuses("It is not red.")
    (True, False)
    """
    return is_unknown(text) or _REFUSAL.search(fold(text[:_HEAD])) is not None
