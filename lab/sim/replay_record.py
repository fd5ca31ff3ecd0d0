"""What came of a replay, one entry a question."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from lab.sim.dataset import Matrix


@dataclass
class Asked:
    """One question's way through a replay.

    Attributes:
        first, sent: columns of the arm asked first and of the one whose answer went out; -1 for none.
        latency_ms: from arrival to reply, queues included.
        device_j, cloud_j: of everything that ran for it, audits and failures included.
        idle_j: what of `device_j` the board would have drawn idle in the same time.
        cloud_calls: requests sent to the cloud for it, audits included.
        route_risk, answer_risk: what the policy ranked it by, before any arm ran and after the first one.
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


@dataclass
class Record:
    """All questions of one replay."""

    policy: str
    asked: list[Asked] = field(default_factory=list)

    def digest(self) -> str:
        """SHA-256 over every value of every question, in order, as a hexadecimal string.

        Two replays have the same digest only if all their decisions and figures are identical.
        """
        sha256 = hashlib.sha256()
        for entry in self.asked:
            sha256.update(repr(astuple(entry)).encode())
        return sha256.hexdigest()

    def of(self, name: str) -> Matrix:
        """One attribute of every question, as numbers."""
        return np.array([getattr(entry, name) for entry in self.asked], dtype=np.float64)

    def columns(self, name: str) -> NDArray[np.int64]:
        """`first` or `sent` of every question."""
        return np.array([getattr(entry, name) for entry in self.asked], dtype=np.int64)
