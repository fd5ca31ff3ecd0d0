"""The result of a replay: one value per question, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller import Tier
from lab.sim.dataset import Dataset, Matrix
from lab.sim.replay_record import Estimate, ReplayRecord
from lab.sim.workload import Workload

NUMBERS: Final = (
    "correct",
    "latency_ms",
    "device_j",
    "idle_j",
    "cloud_j",
    "cloud_calls",
    "escalated",
    "audited",
    "failures",
    "alarms",
    "route_risk",
    "answer_risk",
)


@dataclass(frozen=True)
class ReplayResult:
    """A replay, question by question; all arrays have shape (questions,).

    Attributes:
        numbers: the values of `lab.sim.replay_record.QuestionRecord`, by name.
        on_board: whether the answer that was sent was the board's.
        board_first: whether the board was asked first.
        reference: whether the reference, the cloud's best arm that exists, would have been right.
        board_right: whether the board's best arm would have been right.
        cost: weighted latency, device energy and calls; audits and failures included.
        groups: the questions' groups, as numbers.
        phase: of the drift script, as numbers.
        quality_alarms: whether the question's outcome raised an alarm about answers.
        newcomer: whether the answer that was sent was that of a model that no policy knew in advance.
        estimates: shape (checks, 5), as `lab.sim.replay_record.Estimate`; not per question.
    """

    policy: str
    numbers: dict[str, Matrix]
    on_board: NDArray[np.bool_]
    board_first: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    board_right: NDArray[np.bool_]
    cost: Matrix
    groups: NDArray[np.int64]
    phase: NDArray[np.int64]
    quality_alarms: NDArray[np.bool_]
    newcomer: NDArray[np.bool_]
    estimates: Matrix

    def __getitem__(self, name: str) -> Matrix:
        return self.numbers[name]

    def part(self, where: NDArray[np.bool_] | slice) -> ReplayResult:
        """Returns the result for some of the questions."""
        return ReplayResult(
            self.policy,
            {name: values[where] for name, values in self.numbers.items()},
            self.on_board[where],
            self.board_first[where],
            self.reference[where],
            self.board_right[where],
            self.cost[where],
            self.groups[where],
            self.phase[where],
            self.quality_alarms[where],
            self.newcomer[where],
            self.estimates,
        )


def result_of(record: ReplayRecord, workload: Workload, tuning: Dataset) -> ReplayResult:
    """Converts a record; the best arms are those of `tuning`, as far as they exist at the time."""
    dataset, weights = workload.dataset, workload.profile.weights
    numbers = {name: record.values(name) for name in NUMBERS}
    cost = weights.latency_per_s * numbers["latency_ms"] / 1e3 + weights.energy_per_j * numbers["device_j"]
    cost = cost + weights.money_per_call * numbers["cloud_calls"]
    right = workload.correct() > 0
    local = dataset.columns_of("local")
    return ReplayResult(
        policy=record.policy,
        numbers=numbers,
        on_board=np.isin(record.columns("sent"), local),
        board_first=np.isin(record.columns("first"), local),
        reference=_best(right, workload, tuning, "cloud"),
        board_right=_best(right, workload, tuning, "local"),
        cost=cost,
        groups=group_numbers(dataset)[workload.rows],
        phase=workload.phase,
        quality_alarms=np.isin(np.arange(workload.count), record.quality_alarms),
        newcomer=record.columns("sent") >= len(tuning.arms),
        estimates=np.array(record.estimates, dtype=np.float64).reshape(-1, len(Estimate._fields)),
    )


def _best(right: NDArray[np.bool_], workload: Workload, tuning: Dataset, tier: Tier) -> NDArray[np.bool_]:
    """Returns whether a tier's most accurate arm is right, of those that exist and are known in advance."""
    dataset, accuracy = workload.dataset, tuning.correct.mean(axis=0)
    ranked = sorted(tuning.columns_of(tier), key=lambda column: (-accuracy[column], -column))
    columns = [dataset.arms.index(tuning.arms[column]) for column in ranked]
    by_phase = []
    for phase in workload.script.phases:
        exists = workload.exists(phase.conditions)
        by_phase.append(next(column for column in columns if exists[column]))
    best: NDArray[np.bool_] = right[np.arange(workload.count), np.array(by_phase)[workload.phase]]
    return best


def group_numbers(dataset: Dataset) -> NDArray[np.int64]:
    """Returns the group of each of the dataset's questions, as a number."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(group, len(known)) for group in dataset.groups])
