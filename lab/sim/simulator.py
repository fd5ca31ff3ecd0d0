"""The discrete-event simulation of one policy on one workload.

1. A question arrives. The policy picks an arm from the readings of the board's sensors and link probes.
2. The board queues it, or the uplink sends it to the cloud, where it waits for a slot.
3. If the arm fails, the policy's fallback is asked next, until the policy has none.
4. The first answer is kept, escalated, or sent and then audited. An audit loads the link like any call, and
   so does a call of a new model whose answer is compared.
5. When everything has run, the policy learns. For a share of the questions, feedback follows later.

The simulation itself draws no random number: all noise is part of the workload, so that policies differ only
by their decisions.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Any, Generic, Literal, TypeVar

from controller import Arm, DecisionLike, Execution, NoArm, Option, Outcome, Policy
from lab.sim.numbered_context import NumberedContext
from lab.sim.replay_record import CHECK_EVERY, Estimate, QuestionRecord, ReplayRecord
from lab.sim.simulated_board import SimulatedBoard
from lab.sim.simulated_cloud import SimulatedCloud, Transmission
from lab.sim.workload import Workload

D = TypeVar("D", bound=DecisionLike)
Stage = Literal["first", "escalation", "audit", "beside"]


class Simulation(Generic[D]):
    """Runs `policy` on `workload`."""

    def __init__(self, workload: Workload, policy: Policy[D], name: str) -> None:
        self._workload, self._policy = workload, policy
        self._board, self._cloud = SimulatedBoard(workload), SimulatedCloud(workload)
        self._column = {arm: column for column, arm in enumerate(workload.dataset.arms)}
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._decisions: dict[int, D] = {}
        self._beside: dict[int, Arm] = {}
        self._executions: list[list[Execution]] = [[] for _ in range(workload.count)]
        self._answered: list[int | None] = [None] * workload.count
        self.record = ReplayRecord(name, [QuestionRecord() for _ in range(workload.count)])

    def run(self) -> ReplayRecord:
        """Runs until no event is left."""
        for number, arrival in enumerate(self._workload.arrivals):
            self._schedule(arrival, self._arrive, number)
        while self._events:
            now, _, action, arguments = heapq.heappop(self._events)
            action(now, *arguments)
        return self.record

    def _schedule(self, time: float, action: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._events, (time, next(self._order), action, arguments))

    def _arrive(self, now: float, number: int) -> None:
        if number and number % CHECK_EVERY == 0:
            self._check(number)
        try:
            decision = self._policy.decide(self._context(number, now), now=now)
        except NoArm:
            return
        self._decisions[number] = decision
        entry = self.record.questions[number]
        entry.first = self._column[decision.arm]
        if decision.risk is not None:
            entry.route_risk = decision.risk
        self._ask(now, number, decision.arm, "first")

    def _check(self, number: int) -> None:
        """Records what the policy estimates that it keeps, if it publishes this."""
        status = getattr(self._policy, "status", None)
        kept = None if status is None else (published := status()).kept
        if kept is not None:
            window = float(getattr(published, "window", None) or math.nan)
            self.record.estimates.append(Estimate(number, kept.low, kept.estimate, kept.high, window))

    def _context(self, number: int, now: float) -> NumberedContext:
        workload = self._workload
        link = workload.link(now)
        blocked = None if link is not None else "its server does not answer"
        payloads, available = workload.payload_bytes[number], workload.available(now)
        options = tuple(
            Option(arm, queue=self._board.queue)
            if arm.tier == "local"
            else Option(arm, payloads[column], self._cloud.queue, link, blocked=blocked)
            for arm, column in self._column.items()
            if available[column]
        )
        signals = workload.dataset.signals[workload.rows[number]]
        return NumberedContext(signals, options, self._board.state(now), number=number)

    def _ask(self, now: float, number: int, arm: Arm, stage: Stage) -> None:
        workload, column = self._workload, self._column[arm]
        compute_ms = workload.compute_ms[number][column]
        if arm.tier == "local":
            run = self._board.run(now, compute_ms)
            execution = self._executed(
                number, column, now, run.ends, run.compute_ms, run.queue_ms, run.energy_j
            )
            self._schedule(run.ends, self._end, number, stage, execution)
            return
        self.record.questions[number].cloud_calls += 1
        noise = workload.link_noise[number][column]
        sent = self._cloud.send(now, workload.payload_bytes[number][column], noise)
        if sent.lost:
            energy_j = workload.profile.power.waiting_w * (sent.ends - now)
            failed = Execution(arm, latency_ms=None, energy_j=energy_j, failure="timeout")
            self._schedule(sent.ends, self._end, number, stage, failed)
        else:
            self._schedule(sent.ends, self._serve, number, stage, arm, now, sent)

    def _serve(
        self, now: float, number: int, stage: Stage, arm: Arm, asked: float, sent: Transmission
    ) -> None:
        workload, column = self._workload, self._column[arm]
        compute_ms = workload.compute_ms[number][column] * workload.conditions(now).cloud_slow
        served, queue_ms = self._cloud.serve(now, compute_ms)
        power, ends = workload.profile.power, served + sent.return_s
        energy_j = power.waiting_w * (ends - asked) + sent.energy_j
        self.record.questions[number].cloud_j += power.cloud_w * compute_ms / 1e3
        if workload.conditions(ends).down:
            ends = max(ends, asked + workload.profile.timeout_ms / 1e3)
            execution = Execution(arm, latency_ms=None, energy_j=energy_j, failure="timeout")
        else:
            execution = self._executed(number, column, asked, ends, compute_ms, queue_ms, energy_j)
        self._schedule(ends, self._end, number, stage, execution)

    def _executed(
        self,
        number: int,
        column: int,
        asked: float,
        ends: float,
        compute_ms: float,
        queue_ms: float,
        energy_j: float,
    ) -> Execution:
        dataset = self._workload.dataset
        return Execution(
            arm=dataset.arms[column],
            latency_ms=(ends - asked) * 1e3,
            compute_ms=compute_ms,
            queue_ms=queue_ms,
            energy_j=energy_j,
            answer=self._workload.answer(number, column, asked)[0],
            confidence=dataset.confidences[self._workload.rows[number]][column],
        )

    def _end(self, now: float, number: int, stage: Stage, execution: Execution) -> None:
        local = execution.arm.tier == "local"
        (self._board if local else self._cloud).queue -= 1
        entry, executions = self.record.questions[number], self._executions[number]
        executions.append(execution)
        entry.device_j += execution.energy_j or 0.0
        busy_ms = execution.compute_ms if local else execution.latency_ms
        if busy_ms is None:
            busy_ms = self._workload.profile.timeout_ms
        entry.idle_j += self._workload.profile.power.idle_w * busy_ms / 1e3
        entry.failures += execution.failure is not None
        if stage == "first":
            self._end_first(now, number, execution)
        elif stage == "escalation":
            last = len(executions) - 1
            self._send(now, number, last if execution.failure is None else last - 1)
            self._finish(now, number)
        elif stage == "audit":
            entry.audited = execution.failure is None
            self._finish(now, number)
        else:
            self._finish(now, number)

    def _end_first(self, now: float, number: int, execution: Execution) -> None:
        entry, decision = self.record.questions[number], self._decisions[number]
        if execution.failure is not None:
            fallback = self._policy.fallback(decision, execution, now=now)
            if fallback is not None:
                self._decisions[number] = fallback
                self._ask(now, number, fallback.arm, "first")
                return
            entry.latency_ms = (now - self._workload.arrivals[number]) * 1e3
            self._finish(now, number)
            return
        following = self._policy.escalate(decision, execution, now=now)
        if following.beside is not None:
            self._beside[number] = following.beside
        # A cloud answer that is kept is not a judgement of the board's answers: its risk is not recorded.
        judged = execution.arm.tier == "local" or following.action != "keep"
        if judged and following.loss is not None:
            entry.answer_risk = following.loss
        if following.action == "escalate" and following.arm is not None:
            entry.escalated = True
            self._ask(now, number, following.arm, "escalation")
            return
        self._send(now, number, len(self._executions[number]) - 1)
        if following.action == "audit" and following.arm is not None:
            self._ask(now, number, following.arm, "audit")
            return
        self._finish(now, number)

    def _send(self, now: float, number: int, chosen: int) -> None:
        entry, workload = self.record.questions[number], self._workload
        arrival = workload.arrivals[number]
        execution = self._executions[number][chosen]
        entry.sent = self._column[execution.arm]
        entry.latency_ms = (now - arrival) * 1e3
        entry.correct = workload.answer(number, entry.sent, arrival)[1]
        self._answered[number] = chosen

    def _finish(self, now: float, number: int) -> None:
        beside = self._beside.pop(number, None)
        if beside is not None and self._executions[number][-1].failure is None:
            self._ask(now, number, beside, "beside")
            return
        entry, workload = self.record.questions[number], self._workload
        outcome = Outcome(tuple(self._executions[number]), self._answered[number], entry.audited)
        decision = self._decisions.pop(number)
        events = self._policy.learn(decision, outcome, now=now)
        entry.alarms += len(events)
        if any(event.kind != "latency" for event in events):
            self.record.quality_alarms.append(number)
        if self._answered[number] is not None and workload.has_feedback[number]:
            reported = now + workload.feedback_delay_s[number]
            self._schedule(reported, self._report, decision.id, workload.reported(number, entry.sent))

    def _report(self, now: float, decision_id: str, correct: bool) -> None:
        self._policy.feedback(decision_id, correct, now=now)


def replay(workload: Workload, policy: Policy[D], name: str) -> ReplayRecord:
    """Runs `policy` on `workload`; `name` is the policy's name in the record."""
    return Simulation(workload, policy, name).run()
