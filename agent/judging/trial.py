"""Tries a model as a judge on pairs of answers whose truth is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.judging.trial_pairs import TRIAL_PAIRS, TrialPair

MIN_AUROC: Final = 0.85
Ask = Callable[[TrialPair], Awaitable[float | None]]


@dataclass(frozen=True)
class Trial:
    """What a trial found.

    Attributes:
        passed: whether the model may judge.
        finding: its AUROC, or why it cannot judge, as a sentence without a full stop.
    """

    passed: bool
    finding: str


async def try_judge(ask: Ask) -> Trial:
    """Asks about all trial pairs, and stops at the first that gets no probability.

    Args:
        ask: returns the probability that both answers say the same; None if the reply has none.
    """
    found: list[float] = []
    for pair in TRIAL_PAIRS:
        p_same = await ask(pair)
        if p_same is None:
            return Trial(False, "its reply to a question in text alone has no probabilities of yes and no")
        found.append(p_same)
    area = auroc(
        [p for p, pair in zip(found, TRIAL_PAIRS, strict=True) if pair.same],
        [p for p, pair in zip(found, TRIAL_PAIRS, strict=True) if not pair.same],
    )
    return Trial(area >= MIN_AUROC, f"its AUROC on {len(TRIAL_PAIRS)} trial pairs is {area:.2f}")


def auroc(same: Sequence[float], different: Sequence[float]) -> float:
    """Returns the probability that a pair that says the same scores above one that does not, ties half.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    above = sum((one > other) + 0.5 * (one == other) for one in same for other in different)
    return above / (len(same) * len(different))
