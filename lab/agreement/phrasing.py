"""Puts a statement into the words of a short or a talkative model."""

from __future__ import annotations

import random
from typing import Final

from lab.agreement.vocabulary import ADJECTIVES, FILLERS, OBJECTS, PLACES, PREAMBLES, REFUSALS

NUMBER_WORDS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def slots(rng: random.Random) -> dict[str, str]:
    """Returns random words for the places in a template: o and q objects, a and b adjectives, p a place."""
    one, other = rng.sample(OBJECTS, 2)
    first, second = rng.sample(ADJECTIVES, 2)
    return {"o": one, "q": other, "a": first, "b": second, "p": rng.choice(PLACES)}


def fillers(rng: random.Random, most: int) -> list[str]:
    """Returns 0 to `most` sentences that add nothing to the answer."""
    return [rng.choice(FILLERS).format(**slots(rng)) for _ in range(rng.randint(0, most))]


def capital(text: str) -> str:
    """Returns `text` with a first capital."""
    return text[:1].upper() + text[1:]


def sentence(rng: random.Random, statement: str, shared: list[str]) -> str:
    """Returns a statement as a sentence, with a preamble, and in half of the cases with filler behind it.

    Args:
        rng: the source of chance.
        statement: without a capital and a full stop.
        shared: fillers that the other answer may have too.
    """
    preamble = rng.choice(PREAMBLES)
    text = capital(preamble + (statement if preamble.endswith((", ", "that ")) else capital(statement))) + "."
    if rng.random() < 0.5:
        extra = fillers(rng, 4) + [line for line in shared if rng.random() < 0.5]
        text = " ".join([text, *extra])
    return text


def marked(rng: random.Random, value: str) -> str:
    """Returns a value plain, in bold, or in quotes."""
    return rng.choice(("{}", "{}", "{}", "**{}**", '"{}"')).format(value)


def refusal(rng: random.Random) -> str:
    """Returns an answer that is none."""
    return " ".join([rng.choice(REFUSALS), *fillers(rng, 2)]) if rng.random() < 0.5 else rng.choice(REFUSALS)


def number(rng: random.Random, value: int) -> str:
    """Returns a whole number in digits, or in half of the cases as a word if it has one here."""
    if value < len(NUMBER_WORDS) and rng.random() < 0.5:
        return NUMBER_WORDS[value]
    return f"{value:,}" if value >= 10_000 or (value >= 1000 and rng.random() < 0.2) else str(value)
