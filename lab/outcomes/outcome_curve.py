"""Accuracy as a function of the share of calls to the strong model, on real outcomes, learned online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from lab.errors import TraceError
from lab.outcomes.read_outcomes import models_of, read_outcomes
from lab.replay.runner import ReplayTask, dataset_of, run_tasks, summary_of
from lab.replay.summary import Summary
from lab.sim.cost_profile import CALLS_ONLY
from lab.sim.feedback import Feedback
from lab.trace.trace import write_trace

PAIRS: Final = (("claude-3-sonnet", "claude-3.5-sonnet"), ("llava-1.5-7b", "gpt-4o"))  # weak, strong
FLOORS: Final = (0.6, 0.72, 0.8, 0.84, 0.88, 0.9, 0.92, 0.94, 0.96, 0.99)
FEEDBACK_SHARES: Final = (0.0, 0.1, 1.0)
SHARE: Final = 0.4  # share of calls to the strong model at which the gain is reported
WITHOUT_PRIORS: Final = "no warm start, no priors"
WITHOUT_FAMILIARITY: Final = "no warm start, no priors, no familiarity"
OFFLINE: Final = "two-stage"


@dataclass(frozen=True)
class OutcomePoint:
    """The controller at one floor.

    Attributes:
        feedback_share: share of the answers for which the controller receives feedback.
        calls: share of calls to the strong model.
        random_accuracy: accuracy of random routing with as many calls.
    """

    feedback_share: float
    floor: float
    calls: float
    accuracy: float
    random_accuracy: float


@dataclass(frozen=True)
class OutcomeCurve:
    """All points, and the gains over random routing at SHARE of strong calls, by seed.

    Attributes:
        gains: of the controller, for each feedback share.
        unfamiliar: of the controller that never recognises an image, with feedback for every answer.
        offline: of the two-stage policy that was fitted to the tuning half's outcomes.
    """

    points: tuple[OutcomePoint, ...]
    gains: dict[float, tuple[float, ...]]
    unfamiliar: tuple[float, ...]
    offline: tuple[float, ...]


def curve_of_outcomes(
    folder: Path,
    *,
    weak: str | None = None,
    strong: str | None = None,
    seeds: int = 5,
    processes: int | None = None,
) -> OutcomeCurve:
    """Replays the controller without priors on the reported half, at several floors.

    Only calls have a cost, escalations and audits included.

    Args:
        weak, strong: columns of two models; the first of PAIRS that the folder contains if not given.

    Raises:
        TraceError: the folder cannot be read.
    """
    weak, strong = _pair(folder, weak, strong)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "outcomes.csv.gz"
        write_trace(path, read_outcomes(folder, weak, strong))
        reported = dataset_of(path, CALLS_ONLY.name, "report")
        low, high = reported.correct[:, 0].mean(), reported.correct[:, 1].mean()
        runs = [
            *((WITHOUT_PRIORS, share) for share in FEEDBACK_SHARES),
            (WITHOUT_FAMILIARITY, max(FEEDBACK_SHARES)),
            (OFFLINE, 0.0),
        ]
        tasks = [
            ReplayTask(
                path,
                policy,
                floor,
                seed,
                profile=CALLS_ONLY.name,
                count=len(reported),
                feedback=Feedback(share=share, mean_delay_s=30.0),
            )
            for policy, share in runs
            for floor in FLOORS
            for seed in range(seeds)
        ]
        summaries = iter(list(run_tasks(tasks, summary_of, processes=processes)))
    points, gains = [], []
    random_accuracy = float(low + SHARE * (high - low))
    for policy, share in runs:
        by_seed: list[list[tuple[float, float]]] = [[] for _ in range(seeds)]
        for floor in FLOORS:
            at_floor = [next(summaries) for _ in range(seeds)]
            for seed, summary in enumerate(at_floor):
                by_seed[seed].append((min(1.0, summary.calls), summary.accuracy))
            if policy == WITHOUT_PRIORS:
                points.append(_point(share, floor, at_floor, float(low), float(high)))
        gains.append(
            tuple(accuracy_at(SHARE, pairs, float(low), float(high)) - random_accuracy for pairs in by_seed)
        )
    *online, unfamiliar, offline = gains
    return OutcomeCurve(tuple(points), dict(zip(FEEDBACK_SHARES, online, strict=True)), unfamiliar, offline)


def accuracy_at(share: float, points: Sequence[tuple[float, float]], low: float, high: float) -> float:
    """Returns the accuracy at a share of calls, interpolated between the points and the two ends.

    Args:
        points: pairs of calls and accuracy.
        low, high: accuracy without calls, and with a call for every question.

    >>> round(accuracy_at(0.5, [(0.25, 0.8)], 0.6, 0.9), 3)
    0.833
    """
    ordered = sorted([(0.0, low), *points, (1.0, high)])
    return float(np.interp(share, [calls for calls, _ in ordered], [accuracy for _, accuracy in ordered]))


def _pair(folder: Path, weak: str | None, strong: str | None) -> tuple[str, str]:
    if weak is not None and strong is not None:
        return weak, strong
    models = models_of(folder)
    for pair in PAIRS:
        if set(pair) <= set(models):
            return pair
    raise TraceError(f"name a weak and a strong model of {folder}: {', '.join(models)}")


def _point(share: float, floor: float, summaries: Sequence[Summary], low: float, high: float) -> OutcomePoint:
    calls = float(np.mean([min(1.0, summary.calls) for summary in summaries]))
    accuracy = float(np.mean([summary.accuracy for summary in summaries]))
    return OutcomePoint(share, floor, calls, accuracy, low + calls * (high - low))
