"""Accuracy over the share of calls to the strong model, on real outcomes, learned online from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from lab.outcomes.read_outcomes import read_outcomes
from lab.replay.runner import Task, dataset_of, run_all, summary_of
from lab.replay.summary import Summary
from lab.sim.cost_profile import CALLS_ONLY
from lab.sim.workload import Telling
from lab.trace import trace

WEAK, STRONG = "claude-3-sonnet", "claude-3.5-sonnet"
FLOORS: Final = (0.6, 0.72, 0.8, 0.84, 0.88, 0.9, 0.92, 0.94, 0.96, 0.99)
TOLD: Final = (0.0, 0.1, 1.0)  # shares of answers that the controller is told of
SHARE: Final = 0.4
UNPRIMED: Final = "no warm start, no priors"
UNFAMILIAR: Final = "no warm start, no priors, no familiarity"


@dataclass(frozen=True)
class Point:
    """The controller at one floor: calls and accuracy, beside a coin's accuracy with as many calls."""

    told: float
    floor: float
    calls: float
    accuracy: float
    coin: float


@dataclass(frozen=True)
class OutcomeCurve:
    """All points, and accuracies above a coin's at SHARE of strong calls, by seed.

    Attributes:
        above: the controller's, for each share told.
        unfamiliar: the same, told of all, were every image met for the first time.
    """

    points: tuple[Point, ...]
    above: dict[float, tuple[float, ...]]
    unfamiliar: tuple[float, ...]


def curve_of_outcomes(
    folder: Path, *, weak: str = WEAK, strong: str = STRONG, seeds: int = 5, processes: int | None = None
) -> OutcomeCurve:
    """Replay the controller without priors on the reported half, at several floors.

    Nothing but calls has a cost; they count escalations and audits.

    Raises:
        TraceError: the folder cannot be read.
    """
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "outcomes.csv.gz"
        trace.write(path, read_outcomes(folder, weak, strong))
        reported = dataset_of(path, CALLS_ONLY.name, "report")
        low, high = reported.correct[:, 0].mean(), reported.correct[:, 1].mean()
        runs = [*((UNPRIMED, told) for told in TOLD), (UNFAMILIAR, max(TOLD))]
        tasks = [
            Task(
                path,
                policy,
                floor,
                seed,
                profile=CALLS_ONLY.name,
                count=len(reported),
                telling=Telling(share=told, mean_delay_s=30.0),
            )
            for policy, told in runs
            for floor in FLOORS
            for seed in range(seeds)
        ]
        summaries = iter(list(run_all(tasks, summary_of, processes=processes)))
    points, gains = [], []
    coin = float(low + SHARE * (high - low))
    for policy, told in runs:
        by_seed: list[list[tuple[float, float]]] = [[] for _ in range(seeds)]
        for floor in FLOORS:
            found = [next(summaries) for _ in range(seeds)]
            for seed, summary in enumerate(found):
                by_seed[seed].append((min(1.0, summary.calls), summary.accuracy))
            if policy == UNPRIMED:
                points.append(_point(told, floor, found, float(low), float(high)))
        gains.append(tuple(accuracy_at(SHARE, pairs, float(low), float(high)) - coin for pairs in by_seed))
    *above, unfamiliar = gains
    return OutcomeCurve(tuple(points), dict(zip(TOLD, above, strict=True)), unfamiliar)


def accuracy_at(share: float, points: Sequence[tuple[float, float]], low: float, high: float) -> float:
    """Accuracy at a share of calls, between the points and the two ends.

    >>> round(accuracy_at(0.5, [(0.25, 0.8)], 0.6, 0.9), 3)
    0.833
    """
    ordered = sorted([(0.0, low), *points, (1.0, high)])
    return float(np.interp(share, [calls for calls, _ in ordered], [accuracy for _, accuracy in ordered]))


def _point(told: float, floor: float, found: Sequence[Summary], low: float, high: float) -> Point:
    calls = float(np.mean([min(1.0, summary.calls) for summary in found]))
    accuracy = float(np.mean([summary.accuracy for summary in found]))
    return Point(told, floor, calls, accuracy, low + calls * (high - low))
