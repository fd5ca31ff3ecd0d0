"""Generates pairs of answers from templates: one truth in other words, or two truths in the same words.

Half of the pairs are the same. Nothing here comes from a model's answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from agent.agreement.task import TASKS, Task
from lab.agreement.open_answers import open_ended
from lab.agreement.pairs import Pair
from lab.agreement.phrasing import refusal
from lab.agreement.short_answers import choice, count, label, measured, reading, yes_no

P_REFUSAL: Final = 0.05
P_BOTH_REFUSE: Final = 0.02
P_NOISE: Final = 0.02
P_OPEN_NOISE: Final = 0.1
Maker = Callable[[random.Random, bool], Pair]
MAKERS: Final[dict[Task, Maker]] = {
    "yes_no": yes_no,
    "choice": choice,
    "count": count,
    "number": measured,
    "reading": reading,
    "label": label,
    "open": open_ended,
}


def generate(seed: int, each: int) -> Iterator[Pair]:
    """Yields `each` pairs of every task, always the same for one seed.

    In one of 20 pairs one answer is a refusal, which makes them different; in one of 50 both are, which makes
    them the same. In one of 50 the truth is inverted, for open questions in one of 10: the grades of real
    answers have errors, and more of them if the answers are long.
    """
    for task in TASKS:
        rng = random.Random(f"{seed} {task}")
        for _ in range(each):
            pair = MAKERS[task](rng, rng.random() < 0.5)
            if rng.random() < P_REFUSAL:
                pair = replace(pair, a=refusal(rng), same=False)
            if rng.random() < P_BOTH_REFUSE:
                pair = replace(pair, a=refusal(rng), b=refusal(rng), same=True)
            if rng.random() < (P_OPEN_NOISE if task == "open" else P_NOISE):
                pair = replace(pair, same=not pair.same)
            yield replace(pair, source=task) if rng.random() < 0.5 else _swapped(pair, task)


def _swapped(pair: Pair, task: Task) -> Pair:
    return replace(pair, a=pair.b, b=pair.a, source=task)
