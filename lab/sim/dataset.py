"""A trace as arrays: what every arm answers and costs on every question, under a cost profile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.answering.normalise import normalise
from controller import Arm, Confidence
from lab.errors import BenchError
from lab.sim.cost_profile import CostProfile, ModelSpeed
from lab.sim.signals import RecordedSignals
from lab.trace.trace import Run, Trace

Half = Literal["tune", "report"]
Part = Literal["fit", "check"]
Matrix = NDArray[np.float64]
UNKNOWN_TOKENS = 3.0  # assumed for an answer whose tokens were not counted


@dataclass(frozen=True)
class Dataset:
    """Questions by arms; every array has one row per question, in the trace's order.

    Attributes:
        signals: of each question.
        types: of each question.
        groups: of each question.
        answers: normalised, by question and arm.
        correct: shape (questions, arms), whether the answer is right.
        confidences: by question and arm.
        compute_ms: shape (questions, arms), on the profile's machines; simulated.
        payload_bytes: shape (questions, arms), of the profile's cameras; simulated.
    """

    arms: tuple[Arm, ...]
    signals: tuple[RecordedSignals, ...]
    types: tuple[str, ...]
    groups: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    correct: NDArray[np.bool_]
    confidences: tuple[tuple[Confidence, ...], ...]
    compute_ms: Matrix
    payload_bytes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.types)

    @cached_property
    def matrix(self) -> Matrix:
        """The signals of all questions, shape (questions, features)."""
        return np.array([signals.vector() for signals in self.signals])

    def columns_of(self, tier: str) -> list[int]:
        """Returns the columns of a tier's arms."""
        return [column for column, arm in enumerate(self.arms) if arm.tier == tier]

    def best_column(self, tier: str) -> int:
        """Returns the column of a tier's most accurate arm."""
        columns = self.columns_of(tier)
        if not columns:
            raise BenchError(f"the trace has no {tier} arm: record at least one arm of each tier")
        return max(columns, key=lambda column: (self.correct[:, column].mean(), column))

    def select(self, chosen: Sequence[int] | NDArray[np.int64]) -> Dataset:
        """Returns some of the questions."""
        rows = [int(row) for row in chosen]
        return replace(
            self,
            signals=tuple(self.signals[row] for row in rows),
            types=tuple(self.types[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
            answers=tuple(self.answers[row] for row in rows),
            correct=self.correct[rows],
            confidences=tuple(self.confidences[row] for row in rows),
            compute_ms=self.compute_ms[rows],
            payload_bytes=self.payload_bytes[rows],
        )

    def select_arms(self, columns: Sequence[int]) -> Dataset:
        """Returns some of the arms, in the given order."""
        chosen = list(columns)
        return replace(
            self,
            arms=tuple(self.arms[column] for column in chosen),
            answers=tuple(tuple(answers[column] for column in chosen) for answers in self.answers),
            correct=self.correct[:, chosen],
            confidences=tuple(tuple(row[column] for column in chosen) for row in self.confidences),
            compute_ms=self.compute_ms[:, chosen],
            payload_bytes=self.payload_bytes[:, chosen],
        )

    def half(self, half: Half) -> Dataset:
        """Returns the questions of one half; a group is never split."""
        return self._of_groups(half, half_of)

    def part(self, part: Part) -> Dataset:
        """Returns the questions of one part of the tuning half: to fit on, or to check on."""
        return self._of_groups(part, part_of)

    def _of_groups(self, wanted: str, name_of: Callable[[str], str]) -> Dataset:
        rows = [row for row, group in enumerate(self.groups) if name_of(group) == wanted]
        if not rows:
            raise BenchError(f"the {wanted} part contains no question: the trace needs more groups")
        return self.select(rows)


def half_of(group: str) -> Half:
    """Returns the half that a group belongs to, which depends only on its name."""
    return "tune" if hashlib.sha256(group.encode()).digest()[0] % 2 else "report"


def part_of(group: str) -> Part:
    """Returns the part of its half that a group belongs to, which depends only on its name."""
    return "fit" if hashlib.sha256(group.encode()).digest()[1] % 2 else "check"


def prepare(trace: Trace, profile: CostProfile) -> Dataset:
    """Simulates a trace's times and payloads on a profile's machines.

    Within a tier, models are ranked by recorded computing time. An arm gets the profile's times for the rank
    of its model and for its resolution, with the recorded number of tokens. Payloads keep their recorded
    proportions. Questions that were not asked of every arm are skipped.

    Raises:
        BenchError: no question was asked of every arm, or the trace has no texts of answers.
    """
    names = list(trace.runs)
    arms = trace.arms
    complete = [row for row in range(len(trace.questions)) if all(trace.runs[name][row] for name in names)]
    if not complete:
        raise BenchError("no question was asked of every arm: record one set of questions with all arms")
    questions = [trace.questions[row] for row in complete]
    runs = [[run for row in complete if (run := trace.runs[name][row]) is not None] for name in names]
    recorded = np.array([[run.compute_ms or run.latency_ms for run in column] for column in runs]).T
    tokens = np.array([[run.tokens or UNKNOWN_TOKENS for run in column] for column in runs]).T
    sizes = np.array([[max(1, run.payload_bytes) for run in column] for column in runs], dtype=np.float64).T
    compute_ms, payload = np.empty_like(recorded), np.empty_like(sizes)
    for column, arm in enumerate(arms):
        speed = _speed(arm, arms, recorded.mean(axis=0), profile)
        position = _position(arm.resolution, sorted({a.resolution for a in arms if a.tier == arm.tier}))
        compute_ms[:, column] = _interpolate(speed.prefill_ms, position) + speed.token_ms * tokens[:, column]
        mean_bytes = _interpolate(profile.payload_kb, position) * 1e3
        payload[:, column] = mean_bytes * sizes[:, column] / sizes[:, column].mean()
    return Dataset(
        arms=arms,
        signals=tuple(RecordedSignals(question.signals, question.looks) for question in questions),
        types=tuple(question.type for question in questions),
        groups=tuple(question.group for question in questions),
        answers=tuple(zip(*([_normalised(run) for run in column] for column in runs), strict=True)),
        correct=np.array([[run.correct for run in column] for column in runs]).T,
        confidences=tuple(
            zip(
                *(
                    [Confidence(run.margin, run.mean_logprob, run.tokens) for run in column]
                    for column in runs
                ),
                strict=True,
            )
        ),
        compute_ms=compute_ms,
        payload_bytes=payload.astype(np.int64),
    )


def _normalised(run: Run) -> str:
    if run.answer is None:
        raise BenchError("the trace has no texts of answers: record it again")
    return _normalised_text(run.answer)


@lru_cache(maxsize=65536)
def _normalised_text(text: str) -> str:
    return normalise(text)


def _speed(arm: Arm, arms: Sequence[Arm], recorded_ms: Matrix, profile: CostProfile) -> ModelSpeed:
    speeds = profile.local if arm.tier == "local" else profile.cloud
    times: dict[str, float] = {}
    for column, other in enumerate(arms):
        if other.tier == arm.tier:
            times[other.model] = times.get(other.model, 0.0) + float(recorded_ms[column])
    ranked = sorted(times, key=lambda model: times[model])
    share = ranked.index(arm.model) / (len(ranked) - 1) if len(ranked) > 1 else 1.0
    return speeds[round(share * (len(speeds) - 1))]


def _position(value: int, ordered: Sequence[int]) -> float:
    """Returns the position of `value` in `ordered`, from 0 to 1; 0.5 if it is the only one."""
    return ordered.index(value) / (len(ordered) - 1) if len(ordered) > 1 else 0.5


def _interpolate(ends: tuple[float, float], share: float) -> float:
    return ends[0] + share * (ends[1] - ends[0])
