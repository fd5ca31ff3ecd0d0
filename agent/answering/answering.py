"""Answers one question: decides, asks, asks again if needed, and learns.

1. The policy picks an arm; `HedgedCalls` gets an answer from it or from another one.
2. If every arm failed in a way that may be temporary, the policy decides again after a jittered, growing
   pause, as long as the deadline and the retries' token bucket allow. Just after the start it waits for the
   first check of the servers.
3. The policy keeps the first answer, escalates it to a better arm, or keeps it and has it audited.
4. If an escalation fails, or needs more than PATIENCE times its 95th percentile, the first answer is kept. An
   audit runs after the reply was sent, and so does a call of a new model whose answer is to be compared.
5. The policy learns once from everything that ran, and from how far the answers agree (`Comparing`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import numpy as np

from agent.answering.arms import NOT_SENT, TIERS, Arms, Attempt
from agent.answering.comparing import Comparing, Comparison
from agent.answering.hedging import CANCELLED, DeadlineExpired, HedgedCalls, Unanswered, p95_s
from agent.answering.known_errors import NOTHING_KNOWN, KnownError, known_error
from agent.answering.question import Question
from agent.answering.token_bucket import TokenBucket
from agent.config.settings import Settings
from agent.sensing.energy_model import EnergySource
from agent.spending.cost import Cost
from agent.spending.spend import Purpose
from controller import (
    Arm,
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
        beside: the arm to ask after the reply in addition, if the reference has answered; None for none.
        p_differs: how likely the answer differs from the reference's; None if the policy has no estimate.
        follow_up: what the policy said to do with the first answer; None if it was not asked.
    """

    question: Question
    decision: DecisionLike
    attempts: tuple[Attempt, ...]
    chosen: int
    reason: str
    audit: FollowUp | None = None
    beside: Arm | None = None
    p_differs: float | None = None
    follow_up: FollowUp | None = None

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

    @property
    def cost(self) -> Cost:
        """What all calls for the question have cost so far."""
        return self.question.bill.total


@dataclass(frozen=True)
class Finished:
    """What was learned from an answer after it was sent.

    Attributes:
        attempts: all that ran, the audit included.
        comparisons: of their answers.
        alarms: the drift alarms that learning raised.
        known: how likely the answer that was sent is wrong, as far as the agent knows by itself.
    """

    attempts: tuple[Attempt, ...]
    comparisons: tuple[Comparison, ...]
    alarms: tuple[DriftEvent, ...]
    known: KnownError = NOTHING_KNOWN


class Answering:
    """Answers questions with one policy and the arms that can be asked now.

    Attributes:
        mode: whether the board, the cloud or both may answer.

    Args:
        policy: anything with the five methods of `controller.Policy`.
        device: returns the board's present readings.
        settings: its section `intake` has the token limit.
        comparing: compares the answers to a question; by default from their texts alone.
        scrutiny: returns how many times as often the answers to a client's questions should be audited.
    """

    def __init__(
        self,
        policy: Policy[Any],
        arms: Arms,
        device: Callable[[], DeviceState],
        settings: Settings,
        *,
        rng: np.random.Generator,
        comparing: Comparing | None = None,
        scrutiny: Callable[[str], float] = lambda _client: 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode: Mode = "auto"
        self._policy = policy
        self._arms = arms
        self._device = device
        self._comparing = comparing or Comparing(None, rng=rng)
        self._scrutiny = scrutiny
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
            LocalOnly, CloudCallsSpent, SpendCapReached: it is pinned to the cloud, and its camera's policy
                or a cap on the spend forbids that.
            NoArm: no arm can or may answer it now.
            DeadlineExpired: the deadline passed before there was an answer.
            Unanswered: every arm failed.
            BadQuery: an image cannot be decoded.
        """
        self._retries.fill()
        pause_s = FIRST_PAUSE_S
        failed: Unanswered | None = None
        while True:
            attempts: list[Attempt] = []
            if question.query.pin == "cloud" and (kept := self._arms.kept_on_board(question)) is not None:
                raise kept
            try:
                first = self._policy.decide(self._context(question, expires_at), now=self._clock())
                await self._arms.prepare(first.arm, question)  # a BadQuery is no failure of the arm
                decision = await self._calls.first_answer(first, question, attempts, expires_at=expires_at)
                return await self._follow_up(question, decision, attempts, expires_at)
            except DeadlineExpired:
                self._learn_failure(question, first, attempts)
                raise
            except Unanswered as error:
                self._learn_failure(question, first, attempts)
                failed = error
            except NoArm as error:
                if not self._arms.settled(self._allowed_tiers(question)) and self._clock() < expires_at:
                    await anyio.sleep(SETTLING_S)
                    continue
                if failed is None:
                    raise self._explained(error, question) from None
            if not self._may_retry(failed, pause_s, expires_at):
                raise failed
            await anyio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    async def preview(self, question: Question, *, expires_at: float) -> DecisionLike:
        """Returns what would be decided about `question` now; nothing is asked, and nothing is learned.

        Raises:
            LocalOnly, CloudCallsSpent, NoArm: as `answer`.
        """
        tiers = self._allowed_tiers(question)
        while not self._arms.settled(tiers) and self._clock() < expires_at:  # noqa: ASYNC110 # it has no event
            await anyio.sleep(SETTLING_S)
        if question.query.pin == "cloud" and (kept := self._arms.kept_on_board(question)) is not None:
            raise kept
        context = self._context(question, expires_at)
        try:
            # A policy changes when it decides, also by its random numbers: so a copy of it decides.
            decision: DecisionLike = copy.deepcopy(self._policy).decide(context, now=self._clock())
        except NoArm as error:
            raise self._explained(error, question) from None
        return decision

    def resting(self, question: Question) -> str:
        """Returns which servers cannot be asked `question` now, until when, and why; empty if none."""
        return self._arms.resting(self._allowed_tiers(question))

    async def finish(self, answered: Answered) -> Finished:
        """Runs the audit of `answered`, if there is one, compares the answers, and learns from all of it."""
        attempts, audited = answered.attempts, False
        audit_arm = None if answered.audit is None else answered.audit.arm
        audit = await self._ask_after(audit_arm, answered.question, "audit")
        if audit is not None:
            attempts, audited = (*attempts, audit), audit.execution.failure is None
        trusted = len(_without_cancelled(attempts))  # what a newcomer says tests nobody
        if attempts[-1].execution.failure is None:
            newcomer = await self._ask_after(answered.beside, answered.question, "comparison")
            attempts = attempts if newcomer is None else (*attempts, newcomer)
        attempts = _without_cancelled(attempts)
        chosen = attempts.index(answered.attempt)
        query = answered.question.query
        comparisons = await self._comparing.judged(
            query, attempts, may_leave=lambda: self._may_leave(answered.question)
        )
        alarms = self._learn(answered.decision, attempts, chosen, comparisons, audited=audited)
        tier = answered.attempt.execution.arm.tier
        self._comparing.remember(answered.decision.id, query, comparisons, chosen, tier)
        known = known_error(
            attempts[:trusted], chosen, comparisons, audited=audited, p_differs=answered.p_differs
        )
        return Finished(attempts, comparisons, alarms, known)

    def feedback(self, decision_id: str, correct: bool, weight: float) -> bool:
        """Learns whether the answer that was sent is correct; False if the policy no longer remembers it.

        Args:
            decision_id: the policy's own id of the decision.
            weight: how far it is believed, from 0 to 1.
        """
        self._comparing.feedback(decision_id, correct, weight)
        return self._policy.feedback(decision_id, correct, now=self._clock(), weight=weight)

    async def _ask_after(self, arm: Arm | None, question: Question, purpose: Purpose) -> Attempt | None:
        """Asks an arm after the reply; None if there is none, or nothing may leave the board any more."""
        if arm is None or not self._may_leave(question):
            return None
        expires_at = self._clock() + AUDIT_TIMEOUT_S
        return await self._calls.ask(arm, question, expires_at=expires_at, purpose=purpose)

    def _may_leave(self, question: Question) -> bool:
        """Returns whether the cloud may be asked now: the mode may have changed since the decision."""
        return "cloud" in self._allowed_tiers(question)

    def _context(self, question: Question, expires_at: float) -> Context:
        options = self._arms.options(question)
        kept = self._arms.kept_on_board(question) is not None
        return Context(
            signals=question.signals,
            options=options,
            device=self._device(),
            deadline_ms=(expires_at - self._clock()) * 1e3,
            pin="local" if kept else question.query.pin,  # which the mode `cloud` does not overrule
            mode=self.mode,
            scrutiny=self._scrutiny(question.query.client),
        )

    def _allowed_tiers(self, question: Question) -> tuple[Tier, ...]:
        pin = "local" if self._arms.kept_on_board(question) is not None else question.query.pin
        return tuple(tier for tier in TIERS if barred(tier, pin, self.mode) is None)

    def _explained(self, error: NoArm, question: Question) -> NoArm:
        """Returns the error with the servers that would be asked if they could."""
        resting = self.resting(question)
        if not resting:
            return error
        if not self._arms.available():
            return NoArm(f"nothing can answer this question now: all servers rest: {resting}")
        return NoArm(f"{error}; these servers rest: {resting}")

    def _may_retry(self, failed: Unanswered, pause_s: float, expires_at: float) -> bool:
        return failed.may_pass and self._clock() + pause_s < expires_at and self._retries.spend()

    def _learn_failure(self, question: Question, decision: DecisionLike, attempts: Sequence[Attempt]) -> None:
        kept = _without_cancelled(attempts)
        self._learn(decision, kept, None, self._comparing.compare(question.query, kept))

    def _learn(
        self,
        decision: DecisionLike,
        attempts: Sequence[Attempt],
        chosen: int | None,
        comparisons: Sequence[Comparison],
        *,
        audited: bool = False,
    ) -> tuple[DriftEvent, ...]:
        executions = tuple(attempt.execution for attempt in attempts)
        same = {comparison.places: comparison.p_same for comparison in comparisons}
        outcome = Outcome(executions, chosen, audited, same)
        return self._policy.learn(decision, outcome, now=self._clock())

    async def _follow_up(
        self, question: Question, decision: DecisionLike, attempts: list[Attempt], expires_at: float
    ) -> Answered:
        first = len(attempts) - 1
        follow_up = self._policy.escalate(decision, attempts[first].execution, now=self._clock())
        reason = follow_up.reason if decision.arm.tier == "local" else decision.reason
        kept = self._arms.kept_on_board(question) or self._arms.unaffordable(question)
        if decision.arm.tier == "local" and kept is not None:
            reason = f"{reason}; {kept}"
        beside = follow_up.beside
        if follow_up.action != "escalate" or follow_up.arm is None or not self._may_leave(question):
            audit = follow_up if follow_up.action == "audit" else None
            return Answered(
                question, decision, tuple(attempts), first, reason, audit, beside, follow_up.differ, follow_up
            )
        until = min(expires_at, self._clock() + PATIENCE * p95_s(decision, follow_up.arm))
        attempts.append(await self._calls.ask(follow_up.arm, question, expires_at=until))
        if attempts[-1].execution.failure is None:
            last = len(attempts) - 1
            reason = follow_up.reason
            return Answered(
                question, decision, tuple(attempts), last, reason, beside=beside, follow_up=follow_up
            )
        return Answered(
            question,
            decision,
            tuple(attempts),
            first,
            "board: the cloud failed to answer better",
            p_differs=follow_up.differ,
            follow_up=follow_up,
        )


def _without_cancelled(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Returns the attempts from which something can be learned."""
    return tuple(attempt for attempt in attempts if attempt.execution.failure not in (CANCELLED, *NOT_SENT))
