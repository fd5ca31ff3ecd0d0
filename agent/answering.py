"""From a question to its answer: decide, ask, perhaps ask again, learn.

1. The controller decides on an arm; a failed arm falls back to the next one until none is left.
2. Its answer is kept, escalated to a better arm, or kept and audited, as the controller says.
3. A failed escalation keeps the first answer. An audit runs after the answer has gone out.
4. Whatever ran is learned from, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.energy import Source
from agent.question import Question
from agent.servers import Run, Servers
from controller.arm import Arm
from controller.context import Context, DeviceState, Mode
from controller.controller import Controller
from controller.decision import Decision, FollowUp
from controller.drift import DriftEvent
from controller.outcome import Execution, Outcome
from inarvl.errors import InarvlError

AUDIT_TIMEOUT_S = 30.0
RESERVE = 1.5  # of the board's predicted latency, since predictions err


class Unanswered(InarvlError):
    """No arm gave an answer; the message says what each one failed with."""

    code = "unanswered"


class DeadlineExpired(InarvlError):
    """The time for a question was over before an answer was there."""

    code = "deadline_expired"


@dataclass(frozen=True)
class Answered:
    """All that ran for a question so far; `runs[chosen]` is its answer, `audit` what is still to run."""

    question: Question
    decision: Decision
    runs: tuple[Run, ...]
    chosen: int
    reason: str
    audit: FollowUp | None = None

    @property
    def run(self) -> Run:
        """The run whose text is the answer."""
        return self.runs[self.chosen]

    @property
    def energy_j(self) -> float | None:
        """What the board spent on all of its runs; None when a run's part is unknown."""
        parts = [run.execution.energy_j for run in self.runs]
        return None if None in parts else sum(part for part in parts if part is not None)

    @property
    def energy_source(self) -> Source | None:
        """Where that figure comes from: modelled as soon as that of one run is."""
        sources = {run.energy_source for run in self.runs}
        if None in sources:
            return None
        return "modelled" if "modelled" in sources else "measured"


class Answering:
    """Answers questions with one controller and the servers that are there."""

    def __init__(
        self,
        controller: Controller,
        servers: Servers,
        device: Callable[[], DeviceState],
        *,
        max_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode: Mode = "auto"
        self._controller = controller
        self._servers = servers
        self._device = device
        self._max_tokens = max_tokens
        self._clock = clock

    async def answer(self, question: Question, *, expires_at: float) -> Answered:
        """Answer `question` before the clock says `expires_at`.

        Raises:
            NoArm: nothing can or may answer it now.
            DeadlineExpired, Unanswered: nothing did.
        """
        context = Context(
            signals=question.signals,
            options=tuple(self._servers.option(arm, question) for arm in self._servers.arms()),
            device=self._device(),
            deadline_ms=(expires_at - self._clock()) * 1e3,
            pin=question.query.pin,
            mode=self.mode,
        )
        first = self._controller.decide(context, now=self._clock())
        decision, runs = await self._run_until_answered(first, question, expires_at)
        return await self._follow_up(question, decision, runs, expires_at)

    async def finish(self, answered: Answered) -> tuple[DriftEvent, ...]:
        """Run the audit that `answered` was drawn for, if any, and learn from all that ran."""
        runs, audited = answered.runs, False
        if answered.audit is not None and answered.audit.arm is not None:
            until = self._clock() + AUDIT_TIMEOUT_S
            audit = await self._ask(answered.audit.arm, answered.question, until)
            runs, audited = (*runs, audit), audit.execution.failure is None
        outcome = Outcome(tuple(run.execution for run in runs), answered.chosen, audited)
        return self._controller.learn(answered.decision, outcome, now=self._clock())

    async def _run_until_answered(
        self, decision: Decision, question: Question, expires_at: float
    ) -> tuple[Decision, list[Run]]:
        runs: list[Run] = []
        while True:
            if self._clock() >= expires_at:
                raise DeadlineExpired("its time was over before an answer was there: allow more deadline_ms")
            runs.append(await self._ask(decision.arm, question, expires_at - _reserve_s(decision)))
            if runs[-1].execution.failure is None:
                return decision, runs
            following = self._controller.fallback(decision, runs[-1].execution, now=self._clock())
            if following is None:
                outcome = Outcome(tuple(run.execution for run in runs), answered=None)
                self._controller.learn(decision, outcome, now=self._clock())
                raise Unanswered("; ".join(f"{run.execution.arm.id}: {run.text}" for run in runs))
            decision = following

    async def _follow_up(
        self, question: Question, decision: Decision, runs: list[Run], expires_at: float
    ) -> Answered:
        first = len(runs) - 1
        follow_up = self._controller.escalate(decision, runs[first].execution, now=self._clock())
        reason = follow_up.reason if decision.arm.tier == "local" else decision.reason
        if follow_up.action == "audit":
            return Answered(question, decision, tuple(runs), first, reason, audit=follow_up)
        if follow_up.action == "keep" or follow_up.arm is None:
            return Answered(question, decision, tuple(runs), first, reason)
        runs.append(await self._ask(follow_up.arm, question, expires_at))
        if runs[-1].execution.failure is None:
            return Answered(question, decision, tuple(runs), len(runs) - 1, follow_up.reason)
        return Answered(question, decision, tuple(runs), first, "board: the cloud failed to answer better")

    async def _ask(self, arm: Arm, question: Question, expires_at: float) -> Run:
        left_s = expires_at - self._clock()
        if left_s <= 0:
            return Run(Execution(arm, latency_ms=None, failure="deadline_expired"), "no time was left")
        tokens = min(question.query.max_tokens or self._max_tokens, self._max_tokens)
        return await self._servers.run(arm, question, max_tokens=tokens, timeout_s=left_s)


def _reserve_s(decision: Decision) -> float:
    """The time to keep back so that the board can still answer when the cloud does not."""
    if decision.arm.tier == "local":
        return 0.0
    board_ms = [
        prediction.latency_ms
        for arm, prediction in decision.predictions.items()
        if arm.startswith("local/") and prediction.blocked is None
    ]
    return RESERVE * min(board_ms, default=0.0) / 1e3
