"""Evidence for and against two claims being the same; every figure is symmetric in the two."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from agent.agreement.claim import Claim
from agent.agreement.task import Task
from agent.forms.opposites import opposed
from agent.forms.quantity import Quantity

_ALWAYS: Final = ("refused", "both_refused")
_NUMBERS: Final = ("number", "number_found", "numbers", "numbers_differ")
_WORDS: Final = (
    "topic", "contained", "brief", "run", "lead", "focus_f1", "focus_mutual", "focus_found", "core_f1",
    "core_mutual", "core_found", "chars", "names", "names_differ", "codes",
    "codes_differ", "opposed", "altered",
)  # fmt: skip
_FEW_WORDS: Final = ("topic", "core_f1")
FEATURES: Final[Mapping[Task, tuple[str, ...]]] = {
    "yes_no": (*_ALWAYS, "sense", "sense_differ"),
    "choice": (*_ALWAYS, "choice", "choice_differ", "unlisted", "core_found", *_FEW_WORDS),
    "count": (*_ALWAYS, *_NUMBERS, *_FEW_WORDS),
    "number": (*_ALWAYS, *_NUMBERS, *_FEW_WORDS),
    "reading": (*_ALWAYS, *_NUMBERS, *_WORDS),
    "label": (*_ALWAYS, *_NUMBERS, *_WORDS),
    "open": (*_ALWAYS, *_NUMBERS, *_WORDS),
}
MEASURED_TOLERANCE: Final = 0.02
ROUNDED_TOLERANCE: Final = 0.005
MONEY: Final = frozenset("$£€¥")
BRIEF: Final = 5
LEAD: Final = 15
COPIED: Final = 0.5


def evidence(task: Task, a: Claim, b: Claim) -> dict[str, float]:
    """Returns the figures that `FEATURES` names for `task`, within [-1, 1]; 0 if nothing can be compared.

    refused: one of both refuses. both_refused: both do. sense, sense_differ: both say yes or no, the same or
    not. choice, choice_differ: both name a choice, the same or not. unlisted: the share that names none. For
    the other figures see the functions below.
    """
    names = FEATURES[task]
    found = {
        "refused": float(a.refused != b.refused),
        "both_refused": float(a.refused and b.refused),
    }
    if "sense" in names:
        sense = a.sense * b.sense
        found |= {"sense": max(sense, 0.0), "sense_differ": max(-sense, 0.0)}
    if "choice" in names:
        chosen = a.place is not None and b.place is not None
        found["choice"] = float(chosen and a.place == b.place)
        found["choice_differ"] = float(chosen and a.place != b.place)
        found["unlisted"] = ((a.place is None) + (b.place is None)) / 2
    if "core_f1" in names:
        found |= _of_words(a, b)
    if "number" in names:
        found |= _of_numbers(a, b)
    return {name: found[name] for name in names}


def _of_words(a: Claim, b: Claim) -> dict[str, float]:
    """Returns how many words both have, in the whole answers and in their answering phrases.

    topic: by how often each word is used. contained: the share of the smaller set. brief: that of a brief
    answer. run: the other has it without gaps. lead: the share of the first words. mutual, found: the share
    of one's phrase in the other's whole answer, the smaller and the larger. altered: copied, but each has a
    word that the other lacks. chars: trigrams of characters. codes_differ: each has one that the other lacks.
    """
    shorter, longer = sorted((a.content, b.content), key=len)
    one, other = frozenset(a.content), frozenset(b.content)
    contained = _contained(one, other)
    brief = 0 < len(shorter) <= BRIEF
    leads = frozenset(a.content[:LEAD]), frozenset(b.content[:LEAD])
    named = bool(a.names and b.names)
    names = _share(*sorted((a.names, b.names), key=len))
    pairs = _f1(*(frozenset(zip(c.content, c.content[1:], strict=False)) for c in (a, b)))
    found = {
        "topic": _cosine(Counter(a.content), Counter(b.content)),
        "contained": contained,
        "brief": contained if brief else 0.0,
        "run": float(brief and has_run(shorter, longer)),
        "lead": (_share(leads[0], other) + _share(leads[1], one)) / 2,
        "chars": _chars("".join(a.focus), "".join(b.focus)),
        "names": names if named else 0.0,
        "names_differ": float(named and not names),
        "codes": _share(*sorted((a.codes, b.codes), key=len)),
        "codes_differ": float(bool(a.codes - b.codes) and bool(b.codes - a.codes)),
        "altered": float(pairs >= COPIED and bool(one - other) and bool(other - one)),
        "opposed": float(opposed(a.content, b.content)),
    }
    for phrase, (mine, yours) in {"focus": (a.focus, b.focus), "core": (a.core, b.core)}.items():
        my, your = frozenset(mine), frozenset(yours)
        shares = _share(my, other), _share(your, one)
        found |= {
            f"{phrase}_f1": _f1(my, your),
            f"{phrase}_mutual": min(shares),
            f"{phrase}_found": max(shares),
        }
    return found


def _of_numbers(a: Claim, b: Claim) -> dict[str, float]:
    """Returns how the numbers of two answers compare.

    number: 1 if the headline numbers are equal, -1 if not. number_found: the other answer has it too.
    numbers: the share of the fewer numbers that the other has. numbers_differ: each has one that the other
    lacks.
    """
    head = mentioned = 0.0
    if a.head is not None and b.head is not None:
        head = 1.0 if _near(a.head, b.head) else -1.0
        mine = any(_near(a.head, q) for q in b.numbers)
        yours = any(_near(b.head, q) for q in a.numbers)
        mentioned = (mine + yours) / 2
    one, other = {q.value for q in a.numbers}, {q.value for q in b.numbers}
    return {
        "number": head,
        "number_found": mentioned,
        "numbers": _share(*sorted((one, other), key=len)),
        "numbers_differ": float(bool(one - other) and bool(other - one)),
    }


def _near(one: Quantity, other: Quantity) -> bool:
    """Returns whether two numbers are the same; measured ones may differ a little."""
    units = {one.unit, other.unit} - {""}
    if units and not units & MONEY:
        return one.equals(other, MEASURED_TOLERANCE)
    whole = one.value.is_integer() and other.value.is_integer()
    return one.equals(other, 0.0 if whole or units else ROUNDED_TOLERANCE)


def has_run(part: list[str], whole: list[str]) -> bool:
    """Returns whether `part` is in `whole` without gaps.

    >>> has_run(["b", "c"], ["a", "b", "c"]), has_run(["a", "c"], ["a", "b", "c"])
    (True, False)
    """
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


def _share(part: Collection[object], whole: Collection[object]) -> float:
    """Returns the share of `part` that is in `whole`."""
    return sum(item in whole for item in part) / len(part) if part else 0.0


def _contained(one: frozenset[str], other: frozenset[str]) -> float:
    """Returns the share of the smaller set that both have, by number of characters: long words are rare."""
    smaller = min(sum(map(len, one)), sum(map(len, other)))
    return sum(map(len, one & other)) / smaller if smaller else 0.0


def _cosine(a: Counter[str], b: Counter[str]) -> float:
    norm = math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return sum(n * b[word] for word, n in a.items()) / norm if norm else 0.0


def _f1(a: frozenset[object], b: frozenset[object]) -> float:
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0


def _chars(a: str, b: str) -> float:
    """Returns the share of the character trigrams of the shorter in the other: 1 for the same spelling."""
    one, other = (_trigrams(text[:60]) for text in (a, b))
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0


def _trigrams(text: str) -> set[str]:
    text = f" {text} "
    return {text[at : at + 3] for at in range(len(text) - 2)}
