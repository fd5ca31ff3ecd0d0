"""Infers the form of an answer from the words of its question."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from agent.forms.alternatives import either, lettered
from agent.forms.folding import fold
from agent.forms.form import AnswerForm

_AUXILIARY: Final = (
    r"(?:is|are|was|were|am|does|do|did|can|could|will|would|has|have|had|should|shall|may|might|must)"
)
_YES_NO: Final = re.compile(rf"(?:and |so |now |please |then )?{_AUXILIARY}(?:n'?t)?\b", re.IGNORECASE)
_HOW_MANY: Final = re.compile(
    r"\bhow many\b|\bcount the\b|\b(?:the|total) number of\b|\bthe count of\b|"
    r"\bwhat(?:'s| is) the quantity\b",
    re.IGNORECASE,
)
_MEASURE: Final = re.compile(
    r"\bhow (?:much|old|long|tall|high|far|wide|deep|big|heavy|fast|hot|cold|large)\b|"
    r"\b(?:what|which)(?:'?s| is| are| was)? (?:the )?(?:\w+(?:'s)? ){0,3}?"
    r"(?:year|number|percentage|percent|distance|length|height|width|weight|price|cost|speed|temperature|"
    r"probability|age|score|total|sum|area|volume|amount|value|capacity|difference)\b",
    re.IGNORECASE,
)
_CODE: Final = re.compile(
    r"\b(?:model|phone|telephone|plate|serial|part|licen[cs]e|registration|tail|account|order|tracking|vin)"
    r" (?:\w+ )?(?:number|plate|no)\b",
    re.IGNORECASE,
)
_OPEN: Final = re.compile(
    r"\b(?:describe|description|explain|why|summari[sz]e|interpret|list|write|extract|generate|compare|"
    r"caption|elaborate|discuss|translate|transcribe|recipe|steps)\b|"
    r"\bhow (?:do|does|did|can|could|should|would|is|are|to|might)\b|\bin what (?:order|way)\b|"
    r"\bgive me\b|\bmake (?:me )?a\b|\btell me about\b|\bwhat (?:is|are|'?s) (?:\w+ )?"
    r"(?:happening|going on|special|unusual|funny|the (?:danger|topic|problem|meaning|purpose|difference|"
    r"story|mood|atmosphere|scene|solution))\b|\bwhats? .{0,40}\b(?:doing|about|mean|used for|made of)\b|"
    r"\bwhat (?:should|must|can|could|would|will|do|did) (?:i|you|we|they|he|she|happen)\b|"
    r"\bwhat (?:is|are|'?s) (?:there )?(?:shown |seen |visible )?in (?:the|this) "
    r"(?:image|picture|photo|scene)\b|\bwhat do you see\b|\bwhat ways\b",
    re.IGNORECASE,
)
_READ: Final = re.compile(
    r"\bread|\b(?:say|says|said|written|wrote|write|writing|printed|spell|spells|spelled|text|title|word|"
    r"words|letter|letters|caption|label|labell?ed|sign|logo|brand|website|url|email|model|plate|name|names|"
    r"named|called|heading|slogan|message|airline|company|publisher|author|sticker|poster|string)\b",
    re.IGNORECASE,
)
_NAMES_A_KIND: Final = re.compile(
    r"^\s*(?:who|where|when|(?:please |now )?name (?:the|this|that))\b|"
    r"\b(?:what|which) (?:kind|type|sort|colou?r|species|breed|animal|material|shape)\b",
    re.IGNORECASE,
)
_REQUEST: Final = re.compile(
    r"(?!.*\band\b)(?:please |now )?(?:read|name|identify|state|give|tell)(?: me)? "
    r"(?:the|this|that|its|what|which)\b",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(r"\b(?:what|which|who|whose|whom|where|when|how|what'?s)\b", re.IGNORECASE)
_PREAMBLE: Final = re.compile(r"^(?!.*\b(?:what|which|who|how)\b.*,)[^,?]{0,200},\s+(?=[^,?]*\?)", re.I)


def infer(question: str) -> AnswerForm:
    """Returns the form that the words of `question` ask for; never `auto`.

    >>> [infer(q).kind for q in ("Is the gate open?", "How many cars?", "What does the sign say?")]
    ['yes_no', 'number', 'short']
    >>> infer("Is the gate open or closed?").choices
    ('open', 'closed')
    >>> infer("Why is the gate open?").kind
    'text'
    """
    return _inferred(fold(question).strip())


@lru_cache(maxsize=64)
def _inferred(question: str) -> AnswerForm:
    if choices := lettered(question):
        return AnswerForm("choice", choices)
    asked = _asked(question)
    if len(asked) > 1 or (asked and len(_QUESTION.findall(asked[0])) > 1 and " and " in asked[0]):
        return AnswerForm("text")
    last = asked[0] if asked else question
    bare = _PREAMBLE.sub("", last)
    for words in (last, bare):
        if _YES_NO.match(words):
            if re.search(r"\b(?:describe|explain|help me|tell me|list)\b", words, re.IGNORECASE):
                return AnswerForm("text")
            pair = either(words)
            return AnswerForm("choice", pair) if pair else AnswerForm("yes_no")
    if _HOW_MANY.search(last):
        return AnswerForm("number")
    if _OPEN.search(question):
        return AnswerForm("text")
    if _MEASURE.search(last) and not _CODE.search(last):
        return AnswerForm("number")
    if pair := either(last) if _QUESTION.match(bare) else ():
        return AnswerForm("choice", pair)
    brief = _QUESTION.search(last) or last.endswith("?") or _REQUEST.match(last)
    return AnswerForm("short" if brief else "text")


def asks_to_read(question: str) -> bool:
    """Returns whether the answer is text that is visible in the image, so that each character counts.

    >>> asks_to_read("What does the sign say?"), asks_to_read("What is the man holding?")
    (True, False)
    """
    question = fold(question)
    return _READ.search(question) is not None and not _NAMES_A_KIND.search(question)


def asks_to_count(question: str) -> bool:
    """Returns whether the answer is a count of things, so that only the same number is the same answer.

    >>> asks_to_count("How many cars are there?"), asks_to_count("How tall is the tower?")
    (True, False)
    """
    return _HOW_MANY.search(fold(question)) is not None


def _asked(question: str) -> list[str]:
    """Returns the sentences of `question` that end with a question mark."""
    return [s.strip() for s in re.findall(r"[^.?!\n]*(?:[.!](?!\s)[^.?!\n]*)*\?", question) if len(s) > 3]
