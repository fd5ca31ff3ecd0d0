"""A small trace to read, write and grade."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.trace import Run, Trace, TracedQuestion
from controller.signals import FEATURES

ARMS = ("local/small@64", "cloud/owner/big.v2@128")


@pytest.fixture
def trace() -> Callable[[int], Trace]:
    """Builds a trace of so many questions, three to a group, in which one run in seven is missing."""

    def build(count: int) -> Trace:
        rng = np.random.default_rng(5)
        questions = tuple(
            TracedQuestion(
                id=f"q{n}",
                group=f"image {n // 3}",
                type=("counting", "colour, or shade")[n % 2],
                question='how many "cups"?\nplease',
                truth=str(n % 10),
                signals=np.round(rng.random(len(FEATURES)), 3),
            )
            for n in range(count)
        )
        return Trace(questions, {arm: tuple(_run(rng, n) for n in range(count)) for arm in ARMS})

    return build


def _run(rng: np.random.Generator, number: int) -> Run | None:
    if number % 7 == 6:
        return None
    margin = float(np.round(rng.random(), 3))
    told = number % 5 > 0
    return Run(
        answer=f"ü {number}",
        correct=bool(rng.random() < margin),
        margin=margin if told else None,
        mean_logprob=round(margin - 1.0, 3) if told else None,
        tokens=1 + number % 3 if told else None,
        latency_ms=20.0 + number,
        compute_ms=10.0 + number if told else None,
        energy_j=0.25,
        energy_source="modelled" if told else "measured",
        payload_bytes=1000 + number,
    )
