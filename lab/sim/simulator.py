"""The discrete-event simulation of one policy on one stream.

1. A question arrives; the policy picks an arm from what the board's sensors and probes say at that moment.
2. The board queues it, or the uplink carries it to the cloud, where it waits for a slot.
3. A failed arm is followed by the next one that the policy names, until it names none.
4. A first answer is kept, escalated, or sent out and then audited. An audit loads the link like any call.
5. When all has ended the policy learns; a share of the questions is told right or wrong later still.

Nothing is random here: all noise comes with the stream, so that policies differ by their choices alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Generic, Literal, TypeVar

from controller import Arm, DecisionLike, Execution, NoArm, Option, Outcome, Policy
from lab.sim.numbered_context import NumberedContext
from lab.sim.replay_record import Asked, Record
from lab.sim.simulated_board import Board
from lab.sim.simulated_cloud import Cloud, Sent
from lab.sim.workload import Stream

D = TypeVar("D", bound=DecisionLike)
Stage = Literal["first", "escalation", "audit"]


class Simulation(Generic[D]):
    """Runs `policy` through `stream`."""

    def __init__(self, stream: Stream, policy: Policy[D], name: str) -> None:
        self._stream, self._policy = stream, policy
        self._board, self._cloud = Board(stream), Cloud(stream)
        self._column = {arm: column for column, arm in enumerate(stream.dataset.arms)}
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._decisions: dict[int, D] = {}
        self._ran: list[list[Execution]] = [[] for _ in range(stream.count)]
        self._answered: list[int | None] = [None] * stream.count
        self.record = Record(name, [Asked() for _ in range(stream.count)])

    def run(self) -> Record:
        """Until nothing is under way any more."""
        for number, arrival in enumerate(self._stream.arrivals):
            self._at(arrival, self._arrive, number)
        while self._events:
            now, _, action, arguments = heapq.heappop(self._events)
            action(now, *arguments)
        return self.record

    def _at(self, time: float, action: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._events, (time, next(self._order), action, arguments))

    def _arrive(self, now: float, number: int) -> None:
        try:
            decision = self._policy.decide(self._context(number, now), now=now)
        except NoArm:
            return
        self._decisions[number] = decision
        entry = self.record.asked[number]
        entry.first = self._column[decision.arm]
        if decision.risk is not None:
            entry.route_risk = decision.risk
        self._ask(now, number, decision.arm, "first")

    def _context(self, number: int, now: float) -> NumberedContext:
        stream = self._stream
        link = stream.link(now)
        blocked = None if link is not None else "its server does not answer"
        payloads = stream.payload_bytes[number]
        options = tuple(
            Option(arm, queue=self._board.queue)
            if arm.tier == "local"
            else Option(arm, payloads[column], self._cloud.queue, link, blocked=blocked)
            for arm, column in self._column.items()
        )
        signals = stream.dataset.signals[stream.rows[number]]
        return NumberedContext(signals, options, self._board.state(now), number=number)

    def _ask(self, now: float, number: int, arm: Arm, stage: Stage) -> None:
        stream, column = self._stream, self._column[arm]
        compute_ms = stream.compute_ms[number][column]
        if arm.tier == "local":
            ends, queued_ms, compute_ms, energy_j = self._board.run(now, compute_ms)
            run = self._answer(number, column, now, ends, compute_ms, queued_ms, energy_j)
            self._at(ends, self._done, number, stage, run)
            return
        self.record.asked[number].cloud_calls += 1
        sent = self._cloud.send(now, stream.payload_bytes[number][column], stream.path_noise[number][column])
        if sent.lost:
            energy_j = stream.profile.power.waiting_w * (sent.arrives - now)
            failed = Execution(arm, latency_ms=None, energy_j=energy_j, failure="timeout")
            self._at(sent.arrives, self._done, number, stage, failed)
        else:
            self._at(sent.arrives, self._serve, number, stage, arm, now, sent)

    def _serve(self, now: float, number: int, stage: Stage, arm: Arm, asked: float, sent: Sent) -> None:
        stream, column = self._stream, self._column[arm]
        compute_ms = stream.compute_ms[number][column]
        served, queued_ms = self._cloud.serve(now, compute_ms)
        power, ends = stream.profile.power, served + sent.back_s
        energy_j = power.waiting_w * (ends - asked) + sent.energy_j
        self.record.asked[number].cloud_j += power.cloud_w * compute_ms / 1e3
        if stream.conditions(ends).down:
            ends = max(ends, asked + stream.profile.timeout_ms / 1e3)
            run = Execution(arm, latency_ms=None, energy_j=energy_j, failure="timeout")
        else:
            run = self._answer(number, column, asked, ends, compute_ms, queued_ms, energy_j)
        self._at(ends, self._done, number, stage, run)

    def _answer(
        self,
        number: int,
        column: int,
        asked: float,
        ends: float,
        compute_ms: float,
        queued_ms: float,
        energy_j: float,
    ) -> Execution:
        dataset = self._stream.dataset
        return Execution(
            arm=dataset.arms[column],
            latency_ms=(ends - asked) * 1e3,
            compute_ms=compute_ms,
            queue_ms=queued_ms,
            energy_j=energy_j,
            answer=self._stream.answer(number, column, asked)[0],
            confidence=dataset.confidences[self._stream.rows[number]][column],
        )

    def _done(self, now: float, number: int, stage: Stage, run: Execution) -> None:
        (self._board if run.arm.tier == "local" else self._cloud).queue -= 1
        entry, ran = self.record.asked[number], self._ran[number]
        ran.append(run)
        entry.device_j += run.energy_j or 0.0
        busy_ms = run.compute_ms if run.arm.tier == "local" else run.latency_ms
        if busy_ms is None:
            busy_ms = self._stream.profile.timeout_ms
        entry.idle_j += self._stream.profile.power.idle_w * busy_ms / 1e3
        entry.failures += run.failure is not None
        if stage == "first":
            self._first_done(now, number, run)
        elif stage == "escalation":
            self._send(now, number, len(ran) - 1 if run.failure is None else len(ran) - 2)
            self._finish(now, number)
        else:
            entry.audited = run.failure is None
            self._finish(now, number)

    def _first_done(self, now: float, number: int, run: Execution) -> None:
        entry, ran, decision = self.record.asked[number], self._ran[number], self._decisions[number]
        if run.failure is not None:
            other = self._policy.fallback(decision, run, now=now)
            if other is not None:
                self._decisions[number] = other
                self._ask(now, number, other.arm, "first")
                return
            entry.latency_ms = (now - self._stream.arrivals[number]) * 1e3
            self._finish(now, number)
            return
        following = self._policy.escalate(decision, run, now=now)
        # A cloud answer that is simply kept was not in question: its risk would blur the board's.
        judged = run.arm.tier == "local" or following.action != "keep"
        if judged and following.loss is not None:
            entry.answer_risk = following.loss
        if following.action == "escalate" and following.arm is not None:
            entry.escalated = True
            self._ask(now, number, following.arm, "escalation")
            return
        self._send(now, number, len(ran) - 1)
        if following.action == "audit" and following.arm is not None:
            self._ask(now, number, following.arm, "audit")
            return
        self._finish(now, number)

    def _send(self, now: float, number: int, chosen: int) -> None:
        entry, stream = self.record.asked[number], self._stream
        arrived = stream.arrivals[number]
        run = self._ran[number][chosen]
        entry.sent = self._column[run.arm]
        entry.latency_ms = (now - arrived) * 1e3
        entry.correct = stream.answer(number, entry.sent, arrived)[1]
        self._answered[number] = chosen

    def _finish(self, now: float, number: int) -> None:
        entry = self.record.asked[number]
        outcome = Outcome(tuple(self._ran[number]), self._answered[number], entry.audited)
        decision = self._decisions.pop(number)
        entry.alarms += len(self._policy.learn(decision, outcome, now=now))
        if self._answered[number] is not None and self._stream.told[number]:
            self._at(now + self._stream.told_after_s[number], self._feedback, decision.id, entry.correct)

    def _feedback(self, now: float, decision_id: str, correct: bool) -> None:
        self._policy.feedback(decision_id, correct, now=now)


def replay(stream: Stream, policy: Policy[D], name: str) -> Record:
    """What comes of `policy` on `stream`."""
    return Simulation(stream, policy, name).run()
