"""What the agent itself costs: its processor time, and the energy that this needs.

The time is that of all threads of the process, whatever they do, without that of the process that decodes
unusual images. The energy is modelled: time x `power.core_w` of the profile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class OwnCost:
    """The cost since the start, per answered question.

    Attributes:
        questions: answered since the start.
        cpu_s: processor time since the start.
        cpu_ms_per_question, energy_j_per_question: None before the first answer.
        energy_source: how the energy is known.
    """

    questions: int
    cpu_s: float
    cpu_ms_per_question: float | None
    energy_j_per_question: float | None
    energy_source: str = "modelled"


class OwnCostMeter:
    """Measures from `start` on.

    Args:
        core_w: power of one busy core above idle, in watts.
        questions: returns how many questions were answered so far, also before the start.
        cpu_clock: processor time of this process in seconds.
    """

    def __init__(
        self,
        core_w: float,
        questions: Callable[[], int],
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._core_w = core_w
        self._questions = questions
        self._cpu_clock = cpu_clock
        self._questions_before = 0
        self._cpu_s_before = 0.0

    def start(self) -> None:
        """Counts from now on: what was learned is restored, and the agent is ready."""
        self._questions_before = self._questions()
        self._cpu_s_before = self._cpu_clock()

    def cost(self) -> OwnCost:
        """Returns the cost since `start`."""
        questions = self._questions() - self._questions_before
        cpu_s = self._cpu_clock() - self._cpu_s_before
        if questions <= 0:
            return OwnCost(0, cpu_s, None, None)
        each_s = cpu_s / questions
        return OwnCost(questions, cpu_s, each_s * 1e3, each_s * self._core_w)
