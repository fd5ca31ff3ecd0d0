"""What the words of a question show of how hard it is to answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from controller.wording import wording

Kind = Literal["yes_no", "how_many", "what", "which", "where", "who", "why", "other"]

VERBS: Final = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "am",
        "do",
        "does",
        "did",
        "can",
        "could",
        "has",
        "have",
        "had",
        "will",
        "would",
        "should",
        "may",
        "might",
        "isn't",
        "aren't",
    ]
)
ASKING: Final[dict[str, Kind]] = {
    "what": "what",
    "which": "which",
    "where": "where",
    "who": "who",
    "whose": "who",
    "why": "why",
    "how": "other",
}
COUNT: Final = re.compile(r"\b(how many|number of|count|total|how much)\b")
COMPARE: Final = re.compile(
    r"\b(more|less|fewer|most|least|same|different|than|equal|both|either|larger|bigger|smaller|taller"
    r"|shorter|longer|biggest|largest|smallest|tallest|higher|lower|highest|lowest|compared?|as many)\b"
)
SPATIAL: Final = re.compile(
    r"\b(left|right|above|below|under|over|behind|front|between|next to|beside|near(est)?|top|bottom|middle"
    r"|cent(er|re)|corner|inside|outside|on|closest|around|where)\b"
)
READ: Final = re.compile(
    r"\b(read|reads|say|says|written|write|text|word|words|letters?|digits?|number on|label|sign|title|brand"
    r"|name|show|shows|reading|gauge|dial|display|spell|printed|price|plate|time)\b"
)
COLOUR: Final = re.compile(r"\b(colou?rs?|coloured|colored)\b")
CLAUSE: Final = re.compile(r"\b(that|which|whose|who|and|or|if|but|not|when|while|with)\b|,")
QUOTED: Final = re.compile(r"\"[^\"]+\"|'[^']+'|\d+")


@dataclass(frozen=True)
class TextSignals:
    """Counted in the words of the question.

    Attributes:
        words: how many there are.
        kind: what its first asking word makes of it.
        count, compare, spatial, read, colour: what it seems to ask the eye to do.
        clauses: joining words and commas after the first word: each is one more thing to hold.
        entities: names, numbers and quotations.
        wording: the words themselves, hashed; numbers count as one word.
    """

    words: int
    kind: Kind
    count: bool
    compare: bool
    spatial: bool
    read: bool
    colour: bool
    clauses: int
    entities: int
    wording: tuple[int, ...]


def text_signals(question: str) -> TextSignals:
    """Read the signals of a question in English.

    >>> signals = text_signals("How many red cubes are left of the sign?")
    >>> signals.kind, signals.count, signals.spatial
    ('how_many', True, True)
    """
    words = re.findall(r"[\w']+", question)
    lower = question.lower()
    first = lower.lstrip()
    rest = lower.partition(words[0].lower())[2] if words else ""
    names = sum(word[0].isupper() and len(word) > 1 for word in words[1:])
    return TextSignals(
        words=len(words),
        kind=_kind([word.lower() for word in words]),
        count=COUNT.search(first) is not None,
        compare=COMPARE.search(lower) is not None,
        spatial=SPATIAL.search(lower) is not None,
        read=READ.search(lower) is not None,
        colour=COLOUR.search(lower) is not None,
        clauses=len(CLAUSE.findall(rest)),
        entities=names + len(QUOTED.findall(question)),
        wording=wording("0" if word.isdigit() else word.lower() for word in words),
    )


def _kind(words: list[str]) -> Kind:
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == "how" and following in ("many", "much"):
            return "how_many"
        if word in ASKING:
            return ASKING[word]
        if word in VERBS:
            return "yes_no"
    return "other"
