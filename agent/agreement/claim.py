"""What an answer claims, to be compared with the claim of another answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from agent.agreement.words import concepts, content, stems
from agent.forms.folding import fold
from agent.forms.form import AnswerForm
from agent.forms.headline import headline
from agent.forms.polarity import polarity
from agent.forms.quantity import Quantity, quantities
from agent.forms.selection import selected
from agent.forms.unknown import refuses

_MARK: Final = re.compile(
    r"\*\*([^*\n]{1,120})\*\*|\"([^\"\n]{1,120})\"|(?<!\w)'([^'\n]{2,120})'(?!\w)|"
    r"`([^`\n]{1,120})`"
)
_NAME: Final = re.compile(r"(?<![.!?:\n*]\s)(?<!^)\b[A-Z][\w'&-]*")
_TAIL: Final = re.compile(
    r"\s(?:which|because|since|as (?:indicated|shown|seen|evidenced|it)|where|while|with|who|located|"
    r"situated|surrounded|featuring|based on|suggesting|indicating|making)\b|[;:(]\s",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"^(?:the|this|that|these|those|its|their)\b([^,.;:!?]{1,80}?)\b"
    r"(?:is|are|was|were|(?:appears?|seems?) to be)\s+(?=\w)",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[^\d\W][.!?])[\"'*)]*\s+|\n+|(?<=\d[.!?])\s+(?=[A-Z])")
_PREAMBLE: Final = re.compile(
    r"^(?:based on|according to|in (?:the|this)|from|looking at)\b[^,]{0,120},\s*", re.I
)


@dataclass(frozen=True)
class Claim:
    """An answer, of which each part is read when it is first needed.

    Attributes:
        question: what was asked.
        form: of the answer; not `auto`.
        answer: the text.
    """

    question: str
    form: AnswerForm
    answer: str

    @cached_property
    def words(self) -> list[str]:
        """The stems of all words, in order."""
        return stems(self._text)

    @cached_property
    def content(self) -> list[str]:
        """The stems that carry content and do not repeat the question, in order; all if there are none."""
        return content(self.words, self._asked) or content(self.words) or self.words

    @cached_property
    def focus(self) -> list[str]:
        """The content of the answering phrase: marked by quotes or bold, else the first clause."""
        return content(stems(self._phrase), self._asked) or self.content[:12]

    @cached_property
    def core(self) -> list[str]:
        """The first run of content words in the answering phrase."""
        return _core(self._predicate, self._asked) or _core(self._phrase, self._asked) or self.focus[:3]

    @cached_property
    def names(self) -> frozenset[str]:
        """The concepts of capitalised and marked words."""
        names = [m[0] for m in _NAME.finditer(self._text)] + _marked(self._text)
        return concepts(content(stems(" ".join(names)), self._asked))

    @cached_property
    def numbers(self) -> list[Quantity]:
        """All numbers that the question does not have."""
        asked = {q.value for q in quantities(self.question)}
        return [q for q in quantities(self._text) if q.value not in asked]

    @cached_property
    def head(self) -> Quantity | None:
        """The number that it answers with."""
        return headline(self._text, self.question)

    @cached_property
    def sense(self) -> float:
        """How clearly it says yes (1) or no (-1) to the last sentence of the question."""
        return polarity(self._text, self.question.rstrip("? ").rsplit(". ", 1)[-1])

    @cached_property
    def place(self) -> int | None:
        """The place of the choice that it names."""
        return selected(self.form.choices, self._text) if self.form.choices else None

    @cached_property
    def refused(self) -> bool:
        """Whether it is empty or refuses to answer."""
        return refuses(self._text, self.question)

    @cached_property
    def _text(self) -> str:
        return fold(self.answer).strip()

    @cached_property
    def _asked(self) -> frozenset[str]:
        return frozenset(stems(fold(self.question)))

    @cached_property
    def _predicate(self) -> str:
        """What the answering phrase says of a thing that the question names: all after "the thing ... is"."""
        subject = _SUBJECT.match(self._phrase)
        if subject is None or self._asked.isdisjoint(content(stems(subject[1]))):
            return self._phrase
        return self._phrase[subject.end() :]

    @cached_property
    def _phrase(self) -> str:
        return _focus(self._text)


def _marked(text: str) -> list[str]:
    return [next(filter(None, parts)) for parts in _MARK.findall(text)]


def _core(text: str, asked: frozenset[str]) -> list[str]:
    """Returns the stems of the first run of content words; "of" and articles do not end it."""
    core: list[str] = []
    for part in re.split(r"[,.;:!?()\n]+\s", text):
        for word in stems(part):
            if content([word], asked):
                core.append(word)
            elif core and word not in ("of", "the", "a", "and", "&"):
                return core
        if core:
            return core
    return core


def _focus(text: str) -> str:
    """Returns the phrase that answers: what is in bold or quotes in the first two sentences, or a clause."""
    sentences = [s for s in _SENTENCE.split(text, maxsplit=3) if s.strip()][:2]
    if not sentences:
        return ""
    if marked := _marked(" ".join(sentences)):
        return " ".join(marked)
    first = _PREAMBLE.sub("", sentences[0])
    return _TAIL.split(first, maxsplit=1)[0] or first
