"""Grades each arm of a trace: accuracy, how well its confidence predicts right answers, and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller import Arm
from lab.grade.calibration import Matrix, confidence_matrix, out_of_fold
from lab.probabilities import auroc, calibration_error
from lab.trace.scoring import is_right
from lab.trace.trace import Run, Trace, TracedQuestion

RESAMPLES = 200
ALL = "all"
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Grade:
    """The grade of an arm on the questions of one type, or of ALL types.

    Attributes:
        accuracy: share of right answers.
        margin, mean_logprob, length: AUROC of each for "the answer is right"; shorter is more confident.
        confidence: AUROC of the three together, calibrated and cross-validated by group.
        signals: AUROC of the three and the signals of image and question, calibrated and cross-validated.
        ece: expected calibration error of `signals`.
        accuracy_pm, signals_pm: half of the 95% interval by resampling groups; NaN except for ALL.
    """

    arm: str
    type: str
    count: int
    accuracy: float
    accuracy_pm: float
    margin: float
    mean_logprob: float
    length: float
    confidence: float
    signals: float
    signals_pm: float
    ece: float


@dataclass(frozen=True)
class Cost:
    """The cost of an answer: medians of times, means of the other values; None if unknown."""

    arm: str
    compute_ms: float | None
    p95_compute_ms: float | None
    latency_ms: float
    payload_bytes: float
    tokens: float | None
    energy_j: float
    energy_sources: str


@dataclass(frozen=True)
class Grades:
    """The grades of all arms; `chance` is the accuracy of the best constant answer, by type."""

    arms: tuple[Arm, ...]
    types: tuple[str, ...]
    chance: Mapping[str, float]
    grades: Mapping[tuple[str, str], Grade]
    costs: Mapping[str, Cost]


def grade(trace: Trace, rng: np.random.Generator) -> Grades:
    """Grades every arm that was run; `rng` resamples groups for the intervals."""
    types = (*dict.fromkeys(question.type for question in trace.questions), ALL)
    grades: dict[tuple[str, str], Grade] = {}
    costs: dict[str, Cost] = {}
    for arm, recorded in trace.runs.items():
        at = [place for place, run in enumerate(recorded) if run]
        runs = [run for run in recorded if run]
        if runs:
            costs[arm] = _cost(arm, runs)
            answers = _ArmAnswers(arm, [trace.questions[place] for place in at], runs, trace.signals()[at])
            for name in types:
                grades[arm, name] = answers.grade(name, rng)
    arms = tuple(arm for arm in trace.arms if arm.skill in costs)
    chance = {name: _chance(q for q in trace.questions if name in (ALL, q.type)) for name in types}
    return Grades(arms, types, chance, grades, costs)


class _ArmAnswers:
    """The answers of one arm and their scores."""

    def __init__(
        self, arm: str, questions: Sequence[TracedQuestion], runs: Sequence[Run], signals: Matrix
    ) -> None:
        self._arm = arm
        self._types = np.array([question.type for question in questions])
        self._groups = np.array([question.group for question in questions])
        self._right = np.array([run.correct for run in runs])
        confidence = confidence_matrix(runs)
        self._scores = {
            "margin": _floats(run.margin for run in runs),
            "mean_logprob": _floats(run.mean_logprob for run in runs),
            "length": -_floats(run.tokens for run in runs),
            "confidence": out_of_fold(confidence, self._right, self._groups.tolist()),
            "signals": out_of_fold(np.hstack((confidence, signals)), self._right, self._groups.tolist()),
        }

    def grade(self, name: str, rng: np.random.Generator) -> Grade:
        """Returns the grade on the questions of one type."""
        rows = np.flatnonzero(self._types == name) if name != ALL else np.arange(len(self._types))
        right = self._right[rows]
        accuracy_pm = signals_pm = float("nan")
        if name == ALL:
            accuracy_pm, signals_pm = self._intervals(rng)
        return Grade(
            arm=self._arm,
            type=name,
            count=len(rows),
            accuracy=float(right.mean()) if len(rows) else float("nan"),
            accuracy_pm=accuracy_pm,
            signals_pm=signals_pm,
            ece=calibration_error(self._scores["signals"][rows], right),
            **{measure: auroc(score[rows], right) for measure, score in self._scores.items()},
        )

    def _intervals(self, rng: np.random.Generator) -> tuple[float, float]:
        """Returns half-widths for accuracy and AUROC: 1.96 standard deviations over resampled groups."""
        names, which = np.unique(self._groups, return_inverse=True)
        members = [np.flatnonzero(which == group) for group in range(len(names))]
        figures = []
        for _ in range(RESAMPLES):
            drawn = rng.integers(len(names), size=len(names))
            at = np.concatenate([members[group] for group in drawn])
            right = self._right[at]
            figures.append((right.mean(), auroc(self._scores["signals"][at], right)))
        accuracy_sd, signals_sd = np.std(figures, axis=0)
        return 1.96 * float(accuracy_sd), 1.96 * float(signals_sd)


def _floats(values: Iterable[float | None]) -> Matrix:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _cost(arm: str, runs: Sequence[Run]) -> Cost:
    compute_ms = [run.compute_ms for run in runs if run.compute_ms is not None]
    tokens = [run.tokens for run in runs if run.tokens is not None]
    return Cost(
        arm=arm,
        compute_ms=float(np.median(compute_ms)) if compute_ms else None,
        p95_compute_ms=float(np.percentile(compute_ms, 95)) if compute_ms else None,
        latency_ms=float(np.median([run.latency_ms for run in runs])),
        payload_bytes=float(np.mean([run.payload_bytes for run in runs])),
        tokens=float(np.mean(tokens)) if tokens else None,
        energy_j=float(np.mean([run.energy_j for run in runs])),
        energy_sources="/".join(sorted({run.energy_source for run in runs})),
    )


def _chance(questions: Iterable[TracedQuestion]) -> float:
    truths = [question.truth for question in questions]
    common = Counter(truths).most_common(1)[0][0]
    return sum(is_right(common.split("|")[0], truth) for truth in truths) / len(truths)
