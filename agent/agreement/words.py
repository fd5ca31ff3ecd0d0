"""Words of an answer: their stems, and those that carry no content."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

MAX_WORD: Final = 40
_WORD: Final = re.compile(r"(?:(?<![\w)])-(?=\d))?[^\W_]+(?:(?:[.:,/][0-9]+)+|'[^\W_]+)*[+#]*|[%$£€]")
_NUMBERS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_DIGITS: Final = {word: str(n) for n, word in enumerate(_NUMBERS)}
_STOP: Final = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "it", "its", "it's", "is", "are", "was", "were",
    "be", "been", "being", "am", "do", "does", "did", "doing", "have", "has", "had", "having", "i", "i'm",
    "i'd", "me", "my", "you", "your", "we", "our", "us", "they", "them", "their", "he", "him", "his", "she",
    "her",
    "and", "or", "but", "if", "then", "so", "as", "of", "at", "by", "for", "from", "in", "into", "on",
    "onto", "to", "with", "about", "than", "too", "very", "also", "just", "only", "there", "here", "where",
    "when", "which", "who", "whom", "whose", "what", "how", "why", "can", "could", "would", "should", "may",
    "might", "will", "shall", "must", "that's", "there's", "some", "any", "each", "such", "own", "same",
    "other", "another", "more", "most", "much", "many", "between", "within", "over", "under", "up", "down",
    "out", "off", "near", "while", "because", "since", "though", "not", "no", "yes",
})  # fmt: skip
_BOILERPLATE: Final = frozenset({
    "image", "picture", "photo", "photograph", "scene", "screenshot", "show", "shown", "display", "depict",
    "feature", "see", "seen", "visible", "appear", "seem", "look", "likely", "probably", "possibly",
    "based", "provided", "indicate", "suggest", "contain", "include", "present", "answer", "question",
    "correct", "therefore", "thus", "option", "called", "named", "name", "written", "read", "say",
    "labeled", "labelled", "specifically", "particular", "certainly", "sure", "okay", "ok", "let's", "let",
    "determine", "given", "following", "accord", "base", "indeed", "actually", "located", "using", "use",
    "used", "make", "made", "like", "know", "known", "identify", "identified", "question's", "refer",
    "mostly", "mainly", "kind", "sort",
})  # fmt: skip
_SYNONYMS: Final = (
    "man guy gentleman", "woman lady", "kid child toddler", "person people human individual",
    "store shop market", "car automobile sedan", "couch sofa",
    "phone telephone cellphone smartphone mobile cell", "tv television", "bike bicycle",
    "motorbike motorcycle", "picture image photo photograph", "big large huge", "small little tiny",
    "road street", "gray grey", "color colour", "airplane plane aircraft", "trash garbage rubbish",
    "fridge refrigerator", "mug cup", "cap hat", "jacket coat", "shoe sneaker", "happy glad", "dish meal",
    "cafe coffee", "doctor physician", "movie film", "soccer football", "truck lorry", "sidewalk pavement",
    "begin start", "close near", "purchase buy", "dinner supper", "infant baby", "vacation holiday",
    "fast quick rapid", "under below beneath underneath", "above over", "usa us u.s america american",
    "uk britain british england english", "vehicle automobile", "sofa couch", "boat ship vessel",
    "forest wood", "rock stone", "lunch meal", "beer ale", "taxi cab",
)  # fmt: skip


def _stem(word: str) -> str:
    for suffix, rest in (
        ("'s", ""),
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
    ):
        if word.endswith(suffix) and len(word) - len(suffix) + len(rest) >= 3:
            if suffix == "s" and word.endswith(("ss", "us", "is")):
                return word
            root = word[: len(word) - len(suffix)] + rest
            doubled = suffix in ("ing", "ed") and root[-1] == root[-2] and root[-1] not in "lsz"
            return root[:-1] if doubled else root.rstrip("e") if len(root) > 3 else root
    return word.rstrip("e") if len(word) > 3 else word


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Returns `word` in lower case without accents and common endings, and number words as digits.

    >>> stem("Running"), stem("boxes"), stem("Two"), stem("caf\u00e9s")
    ('run', 'box', '2', 'caf')
    """
    word = word.lower()
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    if word in _DIGITS:
        return _DIGITS[word]
    if word[0].isdigit() or word[0] == "-":
        return word.replace(",", "")
    return _stem(word) or word


_STOP_STEMS: Final = frozenset(map(stem, _STOP)) | _STOP
_EMPTY_STEMS: Final = frozenset(map(stem, _BOILERPLATE)) | _STOP_STEMS
_SYNONYM: Final = {stem(word): stem(words.split()[0]) for words in _SYNONYMS for word in words.split()}


def stems(text: str) -> list[str]:
    """Returns the stems of the words of `text`, in order.

    >>> stems("Two men's caps: $4.50!")
    ['2', 'men', 'cap', '$', '4.50']
    """
    return [stem(word[:MAX_WORD]) for word in _WORD.findall(text)]


def content(words: Iterable[str], without: frozenset[str] = frozenset()) -> list[str]:
    """Returns the stems that carry content and are not `without`.

    >>> content(stems("The image shows a red bus."), frozenset({"bus"}))
    ['red']
    """
    return [word for word in words if word not in _EMPTY_STEMS and word not in without]


def concepts(words: Iterable[str]) -> list[str]:
    """Returns stems with one stem for all synonyms.

    >>> concepts(["sofa"]) == concepts(["couch"])
    True
    """
    return [_SYNONYM.get(word, word) for word in words]
