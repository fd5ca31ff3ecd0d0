"""How long a decision takes to make and to learn from, beside ParetoBandit's in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from controller import DecisionLike, DeviceState, Execution, Option, Outcome, Policy
from lab.policies.bandit import Bandit
from lab.policies.paretobandit import ParetoBandit
from lab.policies.rival import Choice
from lab.replay.policy_inputs import Setting
from lab.replay.timing import Speed
from lab.sim.numbered_context import NumberedContext
from lab.sim.workload import Stream

WARM_UP, BLOCK = 200, 100
T = TypeVar("T")
D = TypeVar("D", bound=DecisionLike)


def measure(ours: Policy[Any], setting: Setting, *, questions: int = 2000) -> tuple[Speed, Speed]:
    """Ours and ParetoBandit on the same questions with all arms, by turns; ours first.

    CPU time of the thread, on whatever machine this runs on. What else runs there still disturbs its caches,
    so only the ratio tells. ParetoBandit is timed without the prices that this evaluation computes for it.
    """
    rival = ParetoBandit(setting.tuning, setting.truth, setting.prices, 0.1, seed=setting.seed)
    timed: dict[str, _Timed[Any]] = {"inarvl": _Timed(ours), "paretobandit": _TimedRouter(rival)}
    stream = setting.stream
    for number in range(min(questions, stream.count)):
        for clock in timed.values():
            clock.ask(stream, number)
    first, second = (clock.speed(name) for name, clock in timed.items())
    return first, second


class _Timed(Generic[D]):
    """Takes one policy through questions, with a clock around its own code only."""

    def __init__(self, policy: Policy[D]) -> None:
        self._policy = policy
        self._decide: list[float] = []
        self._learn: list[float] = []

    def ask(self, stream: Stream, number: int) -> None:
        now = stream.arrivals[number]
        context = _context(stream, number)
        decision, decide_s = _clocked(lambda: self._policy.decide(context, now=now))
        run = _execution(stream, number, stream.dataset.arms.index(decision.arm))
        following, escalate_s = _clocked(lambda: self._policy.escalate(decision, run, now=now))
        runs = [run]
        if following.arm is not None:
            runs.append(_execution(stream, number, stream.dataset.arms.index(following.arm)))
        answered = 1 if following.action == "escalate" else 0
        outcome = Outcome(tuple(runs), answered, following.action == "audit")
        _, learn_s = _clocked(lambda: self._policy.learn(decision, outcome, now=now))
        self._decide.append(decide_s + escalate_s)
        self._learn.append(learn_s)

    def speed(self, name: str) -> Speed:
        return Speed(name, _median_of_blocks(self._decide), _median_of_blocks(self._learn))


class _TimedRouter(_Timed[Choice]):
    """ParetoBandit's route and feedback, without what this evaluation adds around them."""

    def __init__(self, policy: Bandit) -> None:
        super().__init__(policy)
        self._bandit = policy

    def ask(self, stream: Stream, number: int) -> None:
        x = self._bandit.features(_context(stream, number))
        able = list(range(len(stream.dataset.arms)))
        (column, _), decide_s = _clocked(lambda: self._bandit.pick(number, x, able))
        right = stream.answer(number, column, stream.arrivals[number])[1]
        _, learn_s = _clocked(lambda: self._bandit.observe(number, x, column, right, 1.0))
        self._decide.append(decide_s)
        self._learn.append(learn_s)


def _clocked(action: Callable[[], T]) -> tuple[T, float]:
    start = time.thread_time()
    value = action()
    return value, time.thread_time() - start


def _context(stream: Stream, number: int) -> NumberedContext:
    link = stream.link(0.0)
    payloads = stream.payload_bytes[number]
    options = tuple(
        Option(arm) if arm.tier == "local" else Option(arm, payloads[column], 0, link)
        for column, arm in enumerate(stream.dataset.arms)
    )
    device = DeviceState(cpu_load=0.2, gpu_load=0.1, temp_c=55.0, clock_ratio=1.0, throttled=False)
    return NumberedContext(stream.dataset.signals[stream.rows[number]], options, device, number=number)


def _execution(stream: Stream, number: int, column: int) -> Execution:
    dataset, compute_ms = stream.dataset, stream.compute_ms[number][column]
    latency_ms = compute_ms
    if dataset.arms[column].tier == "cloud":
        latency_ms += sum(stream.true_path(0.0, stream.payload_bytes[number][column]))
    return Execution(
        arm=dataset.arms[column],
        latency_ms=latency_ms,
        compute_ms=compute_ms,
        queue_ms=0.0,
        energy_j=latency_ms * 7e-3,
        answer=stream.answer(number, column, 0.0)[0],
        confidence=dataset.confidences[stream.rows[number]][column],
    )


def _median_of_blocks(seconds: list[float]) -> float:
    warm = seconds[min(WARM_UP, len(seconds) // 2) :]
    blocks = [np.mean(warm[start : start + BLOCK]) for start in range(0, len(warm), BLOCK)]
    return float(np.median(blocks)) * 1e6
