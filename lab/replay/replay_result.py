"""What is kept of a replay: one entry a question, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.sim.dataset import Dataset, Matrix
from lab.sim.replay_record import Record
from lab.sim.workload import Stream

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
class Result:
    """A replay, question by question; all arrays have shape (questions,).

    Attributes:
        numbers: by name, those of `lab.sim.replay_record.Asked`.
        on_board: whether the answer that went out was the board's.
        board_first: whether the board was asked first.
        reference: whether the reference, the cloud's best arm, would have been right.
        board_right: whether the board's best arm would have been right.
        cost: weighted latency, device energy and calls; audits and failures included.
        groups: the questions' groups, as numbers.
        phase: of the drift script, as numbers.
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

    def __getitem__(self, name: str) -> Matrix:
        return self.numbers[name]

    def part(self, where: NDArray[np.bool_] | slice) -> Result:
        """Some of the questions."""
        return Result(
            self.policy,
            {name: values[where] for name, values in self.numbers.items()},
            self.on_board[where],
            self.board_first[where],
            self.reference[where],
            self.board_right[where],
            self.cost[where],
            self.groups[where],
            self.phase[where],
        )


def result_of(record: Record, stream: Stream, reference: int, board: int) -> Result:
    """Condense a record; `reference` and `board` are the columns of the best arms of the tiers."""
    dataset, weights = stream.dataset, stream.profile.weights
    numbers = {name: record.of(name) for name in NUMBERS}
    cost = weights.latency_per_s * numbers["latency_ms"] / 1e3 + weights.energy_per_j * numbers["device_j"]
    cost = cost + weights.money_per_call * numbers["cloud_calls"]
    right = stream.correct() > 0
    local = dataset.tier("local")
    phase = np.searchsorted(np.array(stream.starts[1:]), np.arange(stream.count), side="right")
    return Result(
        policy=record.policy,
        numbers=numbers,
        on_board=np.isin(record.columns("sent"), local),
        board_first=np.isin(record.columns("first"), local),
        reference=right[:, reference],
        board_right=right[:, board],
        cost=cost,
        groups=group_numbers(dataset)[stream.rows],
        phase=phase,
    )


def group_numbers(dataset: Dataset) -> NDArray[np.int64]:
    """The group of each of the dataset's questions, as a number."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(group, len(known)) for group in dataset.groups])
