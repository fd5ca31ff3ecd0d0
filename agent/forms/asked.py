"""What a question for yes or no asks, and the sentence of an answer that answers it."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from agent.forms.opposites import opposites, root

_COMMON: Final = {
    "the", "this", "that", "these", "those", "and", "are", "was", "were", "does", "did", "can", "could",
    "would", "will", "has", "have", "for", "any", "there", "image", "picture", "photo", "they", "you",
    "with", "anyone", "anybody", "someone", "somebody", "anything", "both", "two", "isn", "aren", "doesn",
    "don", "all", "some", "than", "here", "now", "yet", "still",
}  # fmt: skip
_ADVERBS: Final = {"here", "there", "now", "yet", "still", "image", "picture", "photo", "or", "not"}
_THING: Final = r"(?:it|he|she|they|i|we|you|there|this|that|these|those|one|some)"
_ECHO: Final = re.compile(
    rf"\W*{_THING}(?:'s|'re| (?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|cannot|can't|"
    r"won't|appears|seems|looks))(?: not|n't)?(?: one| some| any| so| to be)?\W*",
    re.I,
)
_PRONOUN: Final = re.compile(rf"\W*{_THING}\b", re.I)
_INTENTION: Final = re.compile(
    r"\s*(?:to (?:determine|find|answer|decide|check)|let's|let us|we need)\b", re.I
)
_CONCLUSION: Final = re.compile(
    r"^\W*(?:therefore|thus|hence|so|overall|in conclusion|in summary|consequently|based on this|"
    r"this means)\b|\b(?:therefore|in conclusion)\b",
    re.I,
)
_DOES: Final = re.compile(
    r"\b(?:can|could|may|might|must|shall|should|will|would|do|does|did|cannot)(?: not|n't)? "
    r"(?:[a-z]+ly )?([a-z]+)",
    re.I,
)
_EXISTENCE: Final = re.compile(
    r"\W*(?:(?:is|are|was|were) (?:there|any(?:one|body|thing))|(?:do|can|could) you see)\b", re.I
)
_PLACE: Final = re.compile(
    r"\b(?:in|on|at|under|near|by|behind|beside|inside|outside|above|below|next|around)\b", re.I
)
_INDEFINITE: Final = {"a", "an", "any", "some"}
MAX_WORDS: Final = 12
PREFIXES: Final = re.compile(r"^(?:non-|non|un|in|im|dis|ir)")


class Asked:
    """A question for yes or no; the text is folded.

    Attributes:
        words: of the question, in lower case.
        predicate: the roots of what is asked of a thing: "open" in "is the gate open?", "red car" in "is
            there a red car in the street?"; empty in long questions and comparisons.
        roots: of all words that carry content.
        of_existence: whether it asks if something is there.
    """

    def __init__(self, question: str) -> None:
        self.words = words_of(question)
        self.of_existence = _EXISTENCE.match(question) is not None
        self.predicate = self._predicate(question)
        self.roots = _roots(self.words) | self.predicate

    def _predicate(self, question: str) -> frozenset[str]:
        if self.of_existence:
            question = _PLACE.split(question, maxsplit=1)[0]
        words = [word for word in words_of(question) if word not in _ADVERBS]
        if len(words) < 2 or len(words) > MAX_WORDS or "than" in words:
            return frozenset()
        start = max((at for at, word in enumerate(words) if word in _INDEFINITE), default=len(words) - 2) + 1
        return frozenset(root(word) for word in words[start:] if word not in _COMMON)

    @cached_property
    def compared(self) -> tuple[frozenset[str], frozenset[str]] | None:
        """The roots that only the first and only the second of two things has, in "is A bigger than B?"."""
        if "than" not in self.words:
            return None
        at = self.words.index("than")
        first, second = _roots(self.words[: at - 1]), _roots(self.words[at:])
        return first - second, second - first

    def stated(self, sentence: str) -> frozenset[str]:
        """Returns the roots of the question that a sentence has."""
        return self.roots & {
            root(part) for word in words_of(sentence) for part in (word, PREFIXES.sub("", word))
        }

    def mentioned(self, sentence: str) -> frozenset[str]:
        """Returns the roots of the question that a sentence has, or of which it has an opposite."""
        excluded = frozenset[str]().union(*map(opposites, words_of(sentence)))
        return self.stated(sentence) | (self.roots & excluded)

    @staticmethod
    def begins_with_it(sentence: str) -> bool:
        """Returns whether a sentence begins with a pronoun, which is the thing that the question names."""
        return _PRONOUN.match(sentence) is not None

    def answering(self, text: str) -> tuple[str, float]:
        """Returns the sentence with most of the question's words, and their share.

        Of equal sentences it is the first, or the last that draws a conclusion or says "you should not drink"
        where the question asks about drinking.
        """
        best, best_share, best_score = "", 0.0, -1.0
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
            if _INTENTION.match(sentence) or not sentence.strip():
                continue
            share = len(self.mentioned(sentence)) / len(self.roots) if self.roots else 1.0
            if _ECHO.fullmatch(sentence):
                share = 1.0
            elif share and self.begins_with_it(sentence):
                share = max(share, 0.5)
            does = any(root(verb.lower()) in self.roots for verb in _DOES.findall(sentence))
            conclusion = share > 0 and (does or _CONCLUSION.search(sentence) is not None)
            score = share + conclusion
            if score > best_score or (conclusion and score == best_score):
                best, best_share, best_score = sentence, share, score
        return best, best_share


def words_of(text: str) -> list[str]:
    """Returns the words of a text in lower case, without numbers."""
    return re.findall(r"[a-z]+(?:-[a-z]+)?", text.lower())


def _roots(words: list[str]) -> frozenset[str]:
    return frozenset(root(word) for word in words if len(word) > 2 and word not in _COMMON)
