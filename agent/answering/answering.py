"""Answers one question: decides, asks, asks again if needed, and learns.

1. The policy picks an arm; `HedgedCalls` gets an answer from it or from another one.
2. If every arm failed in a way that may be temporary, the policy decides again after a jittered, growing
   pause, as long as the deadline and the retries' token bucket allow. Just after the start it waits for the
   first check of the servers.
3. The policy keeps the first answer, escalates it to a better arm, or keeps it and has it audited.
4. If an escalation fails, or needs more than PATIENCE times its 95th percentile, the first answer is kept. An
   audit runs after the reply was sent.
5. The policy learns once from everything that ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import anyio
import numpy as np

from agent.answering.agreeing import p_same
from agent.answering.arms import TIERS, Arms, Attempt
from agent.answering.hedging import CANCELLED, DeadlineExpired, HedgedCalls, Unanswered, p95_s
from agent.answering.question import Question
from agent.answering.token_bucket import TokenBucket
from agent.config.settings import Settings
from agent.sensing.energy_model import EnergySource
from controller import (
    Context,
    DecisionLike,
    DeviceState,
    DriftEvent,
    FollowUp,
    Mode,
    NoArm,
    Outcome,
    Policy,
    Tier,
)
from controller.guard import barred

AUDIT_TIMEOUT_S = 30.0
RETRY_SHARE, RETRY_BURST = 0.1, 8.0
PATIENCE = 2.0
FIRST_PAUSE_S, MAX_PAUSE_S = 0.25, 4.0
SETTLING_S = 0.1


@dataclass(frozen=True)
class Answered:
    """Everything that ran for a question so far.

    Attributes:
        attempts: in order; `attempts[chosen]` has the answer.
        audit: what runs after the reply; None if nothing does.
    """

    question: Question
    decision: DecisionLike
    attempts: tuple[Attempt, ...]
    chosen: int
    reason: str
    audit: FollowUp | None = None

    @property
    def attempt(self) -> Attempt:
        """The attempt whose text is the answer."""
        return self.attempts[self.chosen]

    @property
    def energy_j(self) -> float | None:
        """Energy that the board spent on all attempts, in joules; None if it is unknown for any of them."""
        parts = [attempt.execution.energy_j for attempt in self.attempts]
        return None if None in parts else sum(part for part in parts if part is not None)

    @property
    def energy_source(self) -> EnergySource | None:
        """`modelled` if the energy of any attempt is, else `measured`; None if any is unknown."""
        sources = {attempt.energy_source for attempt in self.attempts}
        if None in sources:
            return None
        return "modelled" if "modelled" in sources else "measured"


class Answering:
    """Answers questions with one policy and the arms that can be asked now.

    Attributes:
        mode: whether the board, the cloud or both may answer.

    Args:
        policy: anything with the five methods of `controller.Policy`.
        device: returns the board's present readings.
        settings: its section `intake` has the token limit.
    """

    def __init__(
        self,
        policy: Policy[Any],
        arms: Arms,
        device: Callable[[], DeviceState],
        settings: Settings,
        *,
        rng: np.random.Generator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode: Mode = "auto"
        self._policy = policy
        self._arms = arms
        self._device = device
        self._rng = rng
        self._clock = clock
        self._retries = TokenBucket(RETRY_SHARE, RETRY_BURST)
        self._calls = HedgedCalls(policy, arms, settings, retries=self._retries, clock=clock)

    def apply(self, settings: Settings) -> None:
        """Applies the new token limit to the questions asked from now on."""
        self._calls.apply(settings)

    async def answer(self, question: Question, *, expires_at: float) -> Answered:
        """Answers `question` before the clock reaches `expires_at`.

        Raises:
            NoArm: no arm can or may answer it now.
            DeadlineExpired: the deadline passed before there was an answer.
            Unanswered: every arm failed.
        """
        self._retries.fill()
        pause_s = FIRST_PAUSE_S
        failed: Unanswered | None = None
        while True:
            attempts: list[Attempt] = []
            try:
                first = self._policy.decide(self._context(question, expires_at), now=self._clock())
                decision = await self._calls.first_answer(first, question, attempts, expires_at=expires_at)
                return await self._follow_up(question, decision, attempts, expires_at)
            except DeadlineExpired:
                self._learn(question, first, attempts, chosen=None)
                raise
            except Unanswered as error:
                self._learn(question, first, attempts, chosen=None)
                failed = error
            except NoArm:
                if not self._arms.settled(self._allowed_tiers(question)) and self._clock() < expires_at:
                    await anyio.sleep(SETTLING_S)
                    continue
                if failed is None:
                    raise
            if not self._may_retry(failed, pause_s, expires_at):
                raise failed
            await anyio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    async def finish(self, answered: Answered) -> tuple[DriftEvent, ...]:
        """Runs the audit of `answered`, if there is one, and learns from everything that ran.

        Returns:
            The drift alarms that learning raised.
        """
        attempts, audited = answered.attempts, False
        if answered.audit is not None and answered.audit.arm is not None:
            until = self._clock() + AUDIT_TIMEOUT_S
            audit = await self._calls.ask(answered.audit.arm, answered.question, expires_at=until)
            attempts, audited = (*attempts, audit), audit.execution.failure is None
        return self._learn(answered.question, answered.decision, attempts, answered.attempt, audited=audited)

    def _context(self, question: Question, expires_at: float) -> Context:
        return Context(
            signals=question.signals,
            options=tuple(self._arms.option(arm, question) for arm in self._arms.available()),
            device=self._device(),
            deadline_ms=(expires_at - self._clock()) * 1e3,
            pin=question.query.pin,
            mode=self.mode,
        )

    def _allowed_tiers(self, question: Question) -> tuple[Tier, ...]:
        return tuple(tier for tier in TIERS if barred(tier, question.query.pin, self.mode) is None)

    def _may_retry(self, failed: Unanswered, pause_s: float, expires_at: float) -> bool:
        return failed.may_pass and self._clock() + pause_s < expires_at and self._retries.spend()

    def _learn(
        self,
        question: Question,
        decision: DecisionLike,
        attempts: Sequence[Attempt],
        chosen: Attempt | None,
        *,
        audited: bool = False,
    ) -> tuple[DriftEvent, ...]:
        kept = [attempt for attempt in attempts if attempt.execution.failure != CANCELLED]
        chosen_index = None if chosen is None else kept.index(chosen)
        executions = tuple(attempt.execution for attempt in kept)
        outcome = Outcome(executions, chosen_index, audited, _compare(question, kept))
        return self._policy.learn(decision, outcome, now=self._clock())

    async def _follow_up(
        self, question: Question, decision: DecisionLike, attempts: list[Attempt], expires_at: float
    ) -> Answered:
        first = len(attempts) - 1
        follow_up = self._policy.escalate(decision, attempts[first].execution, now=self._clock())
        reason = follow_up.reason if decision.arm.tier == "local" else decision.reason
        if follow_up.action == "audit":
            return Answered(question, decision, tuple(attempts), first, reason, audit=follow_up)
        if follow_up.action == "keep" or follow_up.arm is None:
            return Answered(question, decision, tuple(attempts), first, reason)
        until = min(expires_at, self._clock() + PATIENCE * p95_s(decision, follow_up.arm))
        attempts.append(await self._calls.ask(follow_up.arm, question, expires_at=until))
        if attempts[-1].execution.failure is None:
            return Answered(question, decision, tuple(attempts), len(attempts) - 1, follow_up.reason)
        return Answered(
            question, decision, tuple(attempts), first, "board: the cloud failed to answer better"
        )


def _compare(question: Question, attempts: Sequence[Attempt]) -> dict[tuple[int, int], float]:
    """Returns P(the answers of two attempts say the same) by their places, for all that answered."""
    answered = [place for place, attempt in enumerate(attempts) if attempt.execution.failure is None]
    return {
        (one, other): p_same(question.query, attempts[one].text, attempts[other].text)
        for one, other in combinations(answered, 2)
    }
