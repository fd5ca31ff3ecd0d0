"""The record of a replay: one entry per question."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.sim.dataset import Matrix

CHECK_EVERY: Final = 50


@dataclass
class QuestionRecord:
    """What happened to one question.

    Attributes:
        first, sent: columns of the first arm asked and of the arm whose answer was sent; -1 for none.
        latency_ms: from arrival to reply, queues included.
        device_j, cloud_j: energy of everything that ran for the question, audits and failures included.
        idle_j: the part of `device_j` that an idle board would have used in the same time.
        cloud_calls: requests sent to the cloud for the question, audits included.
        route_risk, answer_risk: the policy's estimate that the board's answer is wrong, before any arm ran
            and after the first answer; NaN without an estimate.
    """

    first: int = -1
    sent: int = -1
    correct: bool = False
    latency_ms: float = 0.0
    device_j: float = 0.0
    idle_j: float = 0.0
    cloud_j: float = 0.0
    cloud_calls: int = 0
    escalated: bool = False
    audited: bool = False
    failures: int = 0
    alarms: int = 0
    route_risk: float = float("nan")
    answer_risk: float = float("nan")


class Estimate(NamedTuple):
    """What a policy estimates that it keeps of the reference's accuracy, when question `number` arrives.

    Attributes:
        window: number of the latest questions that the estimate is about; NaN for older ones with less
            weight.
    """

    number: float
    low: float
    estimate: float
    high: float
    window: float


@dataclass
class ReplayRecord:
    """All questions of one replay, in order of arrival.

    Attributes:
        quality_alarms: numbers of the questions whose outcome raised an alarm about answers, not about costs.
        estimates: every CHECK_EVERY questions, of a policy that publishes them.
    """

    policy: str
    questions: list[QuestionRecord] = field(default_factory=list)
    quality_alarms: list[int] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)

    def digest(self) -> str:
        """Returns the SHA-256 over all values of all questions, in order, as a hexadecimal string.
        Two replays have the same digest only if all their decisions and figures are identical.
        """
        sha256 = hashlib.sha256()
        for entry in self.questions:
            sha256.update(repr(astuple(entry)).encode())
        return sha256.hexdigest()

    def values(self, name: str) -> Matrix:
        """Returns one attribute of every question, as floats."""
        return np.array([getattr(entry, name) for entry in self.questions], dtype=np.float64)

    def columns(self, name: str) -> NDArray[np.int64]:
        """Returns `first` or `sent` of every question."""
        return np.array([getattr(entry, name) for entry in self.questions], dtype=np.int64)
