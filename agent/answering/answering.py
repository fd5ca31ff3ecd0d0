"""From a question to its answer: decide, ask, perhaps ask again, learn.

1. The controller decides on an arm; `HedgedCalls` gets an answer from it or from another.
2. When all failed in a way that may pass, it is decided anew after a jittered, growing pause, as long as
   there is time and a budget of retries. Just after a start it waits for the first look at the servers.
3. The answer is kept, escalated to a better arm, or kept and audited, as the controller says.
4. A failed escalation, or one that takes PATIENCE times what few take, keeps the first answer. An audit runs
   after the answer has gone out.
5. Whatever ran is learned from, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import numpy as np

from agent.answering.hedging import CANCELLED, DeadlineExpired, HedgedCalls, Unanswered, p95_s
from agent.answering.question import Question
from agent.answering.servers import TIERS, Attempt, Servers
from agent.answering.token_bucket import TokenBucket
from agent.sensing.energy_model import Source
from controller.arm import Tier
from controller.context import Context, DeviceState, Mode
from controller.controller import Controller
from controller.decision import Decision, FollowUp
from controller.drift import DriftEvent
from controller.errors import NoArm
from controller.guard import barred
from controller.outcome import Outcome

AUDIT_TIMEOUT_S = 30.0
RETRIED, BURST = 0.1, 8.0
PATIENCE = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 4.0
SETTLING_S = 0.1


@dataclass(frozen=True)
class Answered:
    """All that ran for a question so far; `runs[chosen]` is its answer, `audit` what is still to run."""

    question: Question
    decision: Decision
    runs: tuple[Attempt, ...]
    chosen: int
    reason: str
    audit: FollowUp | None = None

    @property
    def run(self) -> Attempt:
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
        rng: np.random.Generator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode: Mode = "auto"
        self._controller = controller
        self._servers = servers
        self._device = device
        self._rng = rng
        self._clock = clock
        self.asking = HedgedCalls(controller, servers, max_tokens=max_tokens, clock=clock)
        self._retries = TokenBucket(RETRIED, BURST)

    async def answer(self, question: Question, *, expires_at: float) -> Answered:
        """Answer `question` before the clock says `expires_at`.

        Raises:
            NoArm: nothing can or may answer it now.
            DeadlineExpired, Unanswered: nothing did.
        """
        self._retries.earn()
        pause_s = FIRST_PAUSE_S
        failed: Unanswered | None = None
        while True:
            runs: list[Attempt] = []
            try:
                first = self._controller.decide(self._context(question, expires_at), now=self._clock())
                decision = await self.asking.first_answer(first, question, runs, expires_at=expires_at)
                return await self._follow_up(question, decision, runs, expires_at)
            except DeadlineExpired:
                self._learn(first, runs, answered=None)
                raise
            except Unanswered as error:
                self._learn(first, runs, answered=None)
                failed = error
            except NoArm:
                if not self._servers.settled(self._allowed(question)) and self._clock() < expires_at:
                    await anyio.sleep(SETTLING_S)
                    continue
                if failed is None:
                    raise
            if not self._may_retry(failed, pause_s, expires_at):
                raise failed
            await anyio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def finish(self, answered: Answered) -> tuple[DriftEvent, ...]:
        """Run the audit that `answered` was drawn for, if any, and learn from all that ran."""
        runs, audited = answered.runs, False
        if answered.audit is not None and answered.audit.arm is not None:
            until = self._clock() + AUDIT_TIMEOUT_S
            audit = await self.asking.ask(answered.audit.arm, answered.question, expires_at=until)
            runs, audited = (*runs, audit), audit.execution.failure is None
        return self._learn(answered.decision, runs, answered.run, audited=audited)

    def _context(self, question: Question, expires_at: float) -> Context:
        return Context(
            signals=question.signals,
            options=tuple(self._servers.option(arm, question) for arm in self._servers.arms()),
            device=self._device(),
            deadline_ms=(expires_at - self._clock()) * 1e3,
            pin=question.query.pin,
            mode=self.mode,
        )

    def _allowed(self, question: Question) -> tuple[Tier, ...]:
        return tuple(tier for tier in TIERS if barred(tier, question.query.pin, self.mode) is None)

    def _may_retry(self, failed: Unanswered, pause_s: float, expires_at: float) -> bool:
        return failed.passing and self._clock() + pause_s < expires_at and self._retries.spend()

    def _learn(
        self, decision: Decision, runs: Sequence[Attempt], answered: Attempt | None, *, audited: bool = False
    ) -> tuple[DriftEvent, ...]:
        kept = [run for run in runs if run.execution.failure != CANCELLED]
        place = None if answered is None else kept.index(answered)
        outcome = Outcome(tuple(run.execution for run in kept), place, audited)
        return self._controller.learn(decision, outcome, now=self._clock())

    async def _follow_up(
        self, question: Question, decision: Decision, runs: list[Attempt], expires_at: float
    ) -> Answered:
        first = len(runs) - 1
        follow_up = self._controller.escalate(decision, runs[first].execution, now=self._clock())
        reason = follow_up.reason if decision.arm.tier == "local" else decision.reason
        if follow_up.action == "audit":
            return Answered(question, decision, tuple(runs), first, reason, audit=follow_up)
        if follow_up.action == "keep" or follow_up.arm is None:
            return Answered(question, decision, tuple(runs), first, reason)
        patience_s = PATIENCE * p95_s(decision, follow_up.arm)
        until = min(expires_at, self._clock() + patience_s)
        runs.append(await self.asking.ask(follow_up.arm, question, expires_at=until))
        if runs[-1].execution.failure is None:
            return Answered(question, decision, tuple(runs), len(runs) - 1, follow_up.reason)
        return Answered(question, decision, tuple(runs), first, "board: the cloud failed to answer better")
