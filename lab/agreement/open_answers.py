"""Pairs of long answers: causes, descriptions, lists, and answers of two parts."""

from __future__ import annotations

import random
from typing import Final

from lab.agreement import vocabulary as words
from lab.agreement.pairs import Pair
from lab.agreement.phrasing import capital, fillers, sentence
from lab.agreement.short_answers import linked

P_OTHER_SCENE: Final = 0.4
P_NAMED: Final = 0.25


def open_ended(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers: a cause, a description, a list, two things at once, or an address."""
    shared = fillers(rng, 2)
    style = rng.random()
    if style < 0.15:
        return _listing(rng, same)
    if style < 0.25:
        return _two_parts(rng, same)
    if style < 0.35:
        return linked(rng, same, "Describe the page and copy its address.")
    if style < 0.65:
        one, another = rng.sample(words.REASONS, 2)
        other = one if same else another

        def explained(wordings: tuple[str, ...]) -> str:
            return sentence(rng, rng.choice(wordings), shared)

        return Pair(rng.choice(words.WHY_QUESTIONS), explained(one), explained(other), same)
    facts = _facts(rng)
    seen = facts
    if not same:
        change = 1.0 if rng.random() < P_OTHER_SCENE else 0.5
        others = _facts(rng, len(facts))
        seen = [new if rng.random() < change else fact for fact, new in zip(facts, others, strict=True)]

    def described(parts: list[tuple[str, ...]]) -> str:
        kept = rng.sample(parts, rng.randint(max(2, len(parts) // 2), len(parts)))
        lines = [capital(rng.choice(wordings)) + "." for wordings in kept]
        return rng.choice(("", "The image shows the following. ")) + " ".join([*lines, *fillers(rng, 8)])

    return Pair(rng.choice(words.OPEN_QUESTIONS), described(facts), described(seen), same)


def _listing(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of lists; unless `same`, one to three items of the second are wrong."""
    items = [
        f"{rng.randint(1, 9)} {rng.choice(words.ADJECTIVES)} {o}"
        for o in rng.sample(words.OBJECTS, rng.randint(3, 9))
    ]
    other = list(items)
    if not same:
        for at in rng.sample(range(len(items)), rng.randint(1, 3)):
            other[at] = f"{rng.randint(1, 9)} {rng.choice(words.ADJECTIVES)} {rng.choice(words.OBJECTS)}"

    def answer(lines: list[str]) -> str:
        opening = rng.choice(("", "Here is the list:\n", "Sure! The image shows:\n", "**Items:**\n\n"))
        mark = rng.choice(("- ", "* ", "1. ", "| "))
        return rng.choice((", ".join(lines), opening + "\n".join(mark + line for line in lines)))

    return Pair("List all the things on the shelf.", answer(items), answer(other), same)


def _two_parts(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question for two things; the answers are the same only if both are."""
    thing = rng.choice(words.OBJECTS)
    first = rng.choice(words.SIGHTS), rng.randint(2, 900)
    second = first
    if not same:
        place = rng.choice([s for s in words.SIGHTS if s != first[0]]) if rng.random() < 0.4 else first[0]
        second = place, first[1] + rng.randint(1, 40) if place == first[0] or rng.random() < 0.5 else first[1]

    def answer(parts: tuple[str, int]) -> str:
        place, count = parts
        rounded = f"{rng.choice(('', 'about ', 'approximately '))}{count}"
        statement = rng.choice(
            (
                f"{place} has the most {thing}s, with {rounded} {thing}s",
                f"the most {thing}s are at {place}, {rounded} in total",
                f"it is **{place}** with **{count}** {thing}s",
                f"at {place} there are {rounded}, more than anywhere else",
            )
        )
        return sentence(rng, statement, [])

    return Pair(
        f"Which place has the most {thing}s and how many {thing}s are there?",
        answer(first),
        answer(second),
        same,
    )


def _facts(rng: random.Random, count: int | None = None) -> list[tuple[str, ...]]:
    """Returns facts of one scene, each in several wordings; some have a name."""
    facts = []
    for _ in range(count or rng.randint(3, 14)):
        named = rng.random() < P_NAMED
        wordings = rng.choice(words.NAMED_EVENTS if named else words.EVENTS)
        first = rng.choice(words.SIGHTS) if named else rng.choice(words.ADJECTIVES)
        second = rng.choice(words.LAST_NAMES) if named else rng.choice(words.OBJECTS)
        facts.append(tuple(wording.format(first, second) for wording in wordings))
    return facts
