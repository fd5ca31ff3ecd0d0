"""What an answer claims, to be compared with the claim of another answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from agent.agreement.phrase import Phrase, asks_where, marked, without_places
from agent.agreement.words import concepts, content, stems
from agent.forms.folding import fold
from agent.forms.form import AnswerForm
from agent.forms.headline import headline
from agent.forms.infer import asks_to_read
from agent.forms.polarity import leaves_open, polarity, verdict
from agent.forms.quantity import Quantity, quantities
from agent.forms.selection import selected
from agent.forms.unknown import refuses

_NAME: Final = re.compile(r"(?<![.!?:\n*]\s)(?<!^)\b[A-Z][\w'&-]*")
SHORTEST_CODE: Final = 4
_TOKEN: Final = re.compile(r"[\w.@/-]+")
# "Model-7" and "7b2" mix letters and digits; "100cm" is a number with its unit.
_MIXED: Final = re.compile(r"[^\W\d][\w.-]*\d|\d+[^\W\d]+\d")


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
        return self._content(self._text) or self._concepts(content(self.words)) or self.words

    @cached_property
    def focus(self) -> list[str]:
        """The content of the answering phrase: marked by quotes or bold, else the first clause."""
        return self._content(self._phrase.text) or self.content[:12]

    @cached_property
    def core(self) -> list[str]:
        """The first run of content words in the answering phrase."""
        parts = (_core(part, self._asked) for part in (self._phrase.predicate, self._phrase.text))
        return self._concepts(next(filter(None, parts), [])) or self.focus[:3]

    @cached_property
    def names(self) -> frozenset[str]:
        """The content of capitalised and marked words."""
        names = [m[0] for m in _NAME.finditer(self._text)] + marked(self._text)
        return frozenset(self._concepts(content(stems(" ".join(names)), self._asked)))

    @cached_property
    def codes(self) -> frozenset[str]:
        """Addresses, file names and codes with letters and digits, which are the same only if equal."""
        tokens = (token.strip("./-").lower() for token in _TOKEN.findall(self._text) if not token.isalpha())
        return frozenset(token for token in tokens if len(token) >= SHORTEST_CODE and _is_code(token))

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
        """How clearly it says yes (1) or no (-1) to the last sentence of the question; 0 if it refuses."""
        return 0.0 if self.refused else polarity(self._text, self.question.rstrip("? ").rsplit(". ", 1)[-1])

    @cached_property
    def place(self) -> int | None:
        """The place of the choice that it names."""
        return selected(self.form.choices, self._text) if self.form.choices else None

    @cached_property
    def refused(self) -> bool:
        """Whether it is empty, refuses to answer, or leaves open whether it is yes or no."""
        if self.form.kind == "yes_no" and (verdict(self._text) or leaves_open(self._text)):
            return not verdict(self._text)
        return refuses(self._text, self.question)

    @cached_property
    def _text(self) -> str:
        return fold(self.answer).strip()

    @cached_property
    def _asked(self) -> frozenset[str]:
        return frozenset(stems(fold(self.question)))

    @cached_property
    def _phrase(self) -> Phrase:
        return Phrase.of(self._text, self._asked)

    def _content(self, text: str) -> list[str]:
        """Returns the content of `text` without what only identifies the thing asked about."""
        if not asks_where(self.question):
            text = text.replace(self._phrase.modifier, " ", 1) if self._phrase.modifier else text
            text = without_places(text) if self.form.kind == "short" else text
        return self._concepts(content(stems(text), self._asked))

    def _concepts(self, words: list[str]) -> list[str]:
        """Returns stems with one for all synonyms, unless the words themselves are what is read."""
        return words if self._read else concepts(words)

    @cached_property
    def _read(self) -> bool:
        return self.form.kind == "short" and asks_to_read(self.question)


def _is_code(token: str) -> bool:
    path = "/" in token and "." in token.partition("/")[0]
    return path or "@" in token or "_" in token or _MIXED.match(token) is not None


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
