"""CPU time to decide and to learn, compared with ParetoBandit in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from controller import DecisionLike, DeviceState, Execution, Option, Outcome, Policy
from lab.policies.bandit import Bandit
from lab.policies.rival import Choice
from lab.replay.policy_inputs import PolicyInputs
from lab.sim.numbered_context import NumberedContext
from lab.sim.workload import Workload

WARM_UP, BLOCK = 200, 100
T = TypeVar("T")
D = TypeVar("D", bound=DecisionLike)


@dataclass(frozen=True)
class DecisionSpeed:
    """CPU time per question in microseconds, as medians over blocks; deciding includes `escalate`."""

    policy: str
    decide_us: float
    learn_us: float

    @property
    def total_us(self) -> float:
        """The time to decide and to learn."""
        return self.decide_us + self.learn_us


def measure_speed(
    ours: Policy[Any], inputs: PolicyInputs, *, questions: int = 2000
) -> tuple[DecisionSpeed, DecisionSpeed]:
    """Times our policy and ParetoBandit alternately on the same questions with all arms.

    The CPU time of the thread is measured. Other programs still disturb the caches, so only the ratio is
    meaningful. ParetoBandit is timed without the prices that the evaluation computes for it.

    Returns:
        Our speed and ParetoBandit's.
    """
    from lab.policies.paretobandit import ParetoBandit  # without its package the rest of the lab still runs

    rival = ParetoBandit(inputs.tuning, inputs.truth, inputs.prices, 0.1, seed=inputs.seed)
    timed: dict[str, _Timed[Any]] = {"inarvl": _Timed(ours), "paretobandit": _TimedRouter(rival)}
    workload = inputs.workload
    for number in range(min(questions, workload.count)):
        for policy in timed.values():
            policy.ask(workload, number)
    first, second = (policy.speed(name) for name, policy in timed.items())
    return first, second


class _Timed(Generic[D]):
    """Runs one policy on questions and times only the policy's own code."""

    def __init__(self, policy: Policy[D]) -> None:
        self._policy = policy
        self._decide: list[float] = []
        self._learn: list[float] = []

    def ask(self, workload: Workload, number: int) -> None:
        now = workload.arrivals[number]
        context = _context(workload, number)
        decision, decide_s = _timed(lambda: self._policy.decide(context, now=now))
        run = _execution(workload, number, workload.dataset.arms.index(decision.arm))
        following, escalate_s = _timed(lambda: self._policy.escalate(decision, run, now=now))
        runs = [run]
        if following.arm is not None:
            runs.append(_execution(workload, number, workload.dataset.arms.index(following.arm)))
        answered = 1 if following.action == "escalate" else 0
        outcome = Outcome(tuple(runs), answered, following.action == "audit")
        _, learn_s = _timed(lambda: self._policy.learn(decision, outcome, now=now))
        self._decide.append(decide_s + escalate_s)
        self._learn.append(learn_s)

    def speed(self, name: str) -> DecisionSpeed:
        return DecisionSpeed(name, _median_of_blocks(self._decide), _median_of_blocks(self._learn))


class _TimedRouter(_Timed[Choice]):
    """Times ParetoBandit's `pick` and `observe`, without the evaluation's code around them."""

    def __init__(self, policy: Bandit) -> None:
        super().__init__(policy)
        self._bandit = policy

    def ask(self, workload: Workload, number: int) -> None:
        x = self._bandit.features(_context(workload, number))
        available = list(range(len(workload.dataset.arms)))
        (column, _), decide_s = _timed(lambda: self._bandit.pick(number, x, available))
        right = workload.answer(number, column, workload.arrivals[number])[1]
        _, learn_s = _timed(lambda: self._bandit.observe(number, x, column, right, 1.0))
        self._decide.append(decide_s)
        self._learn.append(learn_s)


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    start = time.thread_time()
    value = action()
    return value, time.thread_time() - start


def _context(workload: Workload, number: int) -> NumberedContext:
    link = workload.link(0.0)
    payloads = workload.payload_bytes[number]
    options = tuple(
        Option(arm) if arm.tier == "local" else Option(arm, payloads[column], 0, link)
        for column, arm in enumerate(workload.dataset.arms)
    )
    device = DeviceState(cpu_load=0.2, gpu_load=0.1, temp_c=55.0, clock_ratio=1.0, throttled=False)
    return NumberedContext(workload.dataset.signals[workload.rows[number]], options, device, number=number)


def _execution(workload: Workload, number: int, column: int) -> Execution:
    dataset, compute_ms = workload.dataset, workload.compute_ms[number][column]
    latency_ms = compute_ms
    if dataset.arms[column].tier == "cloud":
        latency_ms += sum(workload.true_path(0.0, workload.payload_bytes[number][column]))
    return Execution(
        arm=dataset.arms[column],
        latency_ms=latency_ms,
        compute_ms=compute_ms,
        queue_ms=0.0,
        energy_j=latency_ms * 7e-3,
        answer=workload.answer(number, column, 0.0)[0],
        confidence=dataset.confidences[workload.rows[number]][column],
    )


def _median_of_blocks(seconds: list[float]) -> float:
    measured = seconds[min(WARM_UP, len(seconds) // 2) :]
    blocks = [np.mean(measured[start : start + BLOCK]) for start in range(0, len(measured), BLOCK)]
    return float(np.median(blocks)) * 1e6
