"""The phrase of an answer that answers, and the words around it that only say which thing is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.agreement.words import content, stems

_MARK: Final = re.compile(
    r"\*\*([^*\n]{1,120})\*\*|\"([^\"\n]{1,120})\"|(?<!\w)'([^'\n]{2,120})'(?!\w)|"
    r"`([^`\n]{1,120})`"
)
_TAIL: Final = re.compile(
    r"\s(?:which|because|since|as (?:indicated|shown|seen|evidenced|it)|where|while|with|who|located|"
    r"situated|surrounded|featuring|based on|suggesting|indicating|making)\b|[;:(]\s",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"^(?:the|this|that|these|those|its|their)\b([^,.;:!?]{1,80}?)\b"
    r"(?:is|are|was|were|has|have|(?:appears?|seems?) to be)\s+(?=\w)",
    re.IGNORECASE,
)
_LOCATED: Final = re.compile(
    r"\b(?:next to|beside|behind|near|close to|in front of|underneath|beneath|on top of|opposite|alongside)"
    r"(?: (?!(?:is|are|was|were|has|have|had|says?|reads?|that|which|and|or|there)\b)[\w'-]+){1,4}",
    re.IGNORECASE,
)
_WHERE: Final = re.compile(r"\b(?:where|location|position|relation|side)\b", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"(?<=[^\d\W][.!?])[\"'*)]*\s+|\n+|(?<=\d[.!?])\s+(?=[A-Z])")
_PREAMBLE: Final = re.compile(
    r"^(?:based on|according to|in (?:the|this)|from|looking at)\b[^,]{0,120},\s*", re.I
)


@dataclass(frozen=True)
class Phrase:
    """The phrase that answers.

    Attributes:
        text: what is in bold or quotes in the first two sentences, else the first clause.
        predicate: the same without its subject, if that is a thing that the question names.
        modifier: what identifies that thing, such as "on the left" in "the cup on the left is red".
    """

    text: str = ""
    predicate: str = ""
    modifier: str = ""

    @classmethod
    def of(cls, text: str, asked: frozenset[str]) -> Phrase:
        """Returns the phrase of a folded text; `asked` are the stems of the question.

        >>> Phrase.of("The cup on the left is red, which is rare.", frozenset({"cup"}))
        Phrase(text='The cup on the left is red,', predicate='red,', modifier='on the left')
        """
        sentences = [s for s in _SENTENCE.split(text, maxsplit=3) if s.strip()][:2]
        if not sentences:
            return cls()
        if found := marked(" ".join(sentences)):
            return cls(" ".join(found), " ".join(found))
        first = _PREAMBLE.sub("", sentences[0])
        subject = _SUBJECT.match(first)
        if subject is None or asked.isdisjoint(content(stems(subject[1]))):
            clause = _clause(first)
            return cls(clause, clause)
        named = (word for word in re.finditer(r"\S+", subject[1]) if not asked.isdisjoint(stems(word[0])))
        predicate = _clause(first[subject.end() :])
        modifier = subject[1][end.end() :].strip() if (end := next(named, None)) else ""
        return cls(subject[0] + predicate, predicate, modifier)


def asks_where(question: str) -> bool:
    """Returns whether a question is about a place, so that places are no modifiers.

    >>> asks_where("Where is the cup?"), asks_where("What is near the cup?")
    (True, False)
    """
    return _WHERE.search(question) is not None


def without_places(text: str) -> str:
    """Returns `text` without the things that others are next to.

    >>> without_places("It is the cat beside the brown dog.")
    'It is the cat  .'
    """
    return _LOCATED.sub(" ", text)


def marked(text: str) -> list[str]:
    """Returns what is in bold, in quotes or code.

    >>> marked('It is **red**, so "stop".')
    ['red', 'stop']
    """
    return [next(filter(None, parts)) for parts in _MARK.findall(text)]


def _clause(text: str) -> str:
    return _TAIL.split(text, maxsplit=1)[0] or text
