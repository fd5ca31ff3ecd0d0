"""Gets a first answer to a question, with fallback and hedged calls.

1. If an arm fails, the policy's next arm is asked, until no arm remains. An arm whose answer is not valid
   JSON of the query's schema is first asked once more, with the reason, if the retries' token bucket allows.
2. If a cloud call exceeds its predicted 95th percentile, or if the remaining time is only just enough for the
   board, the board is asked too. The first valid answer is used, and the other call is cancelled.
3. A token bucket limits the hedges of the first kind. It does not limit the second, which meet the deadline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import anyio

from agent.answering.arms import INVALID, Arms, Attempt
from agent.answering.question import Question
from agent.answering.token_bucket import TokenBucket
from agent.config.settings import Settings
from agent.forms.prompt import max_tokens
from agent.spending.spend import Purpose
from controller import Arm, DecisionLike, Execution, Policy
from inarvl.errors import InarvlError

BOARD_RESERVE = 1.5  # times the board's predicted latency, because predictions are not exact
HEDGE_SHARE, HEDGE_BURST = 0.1, 5.0
CANCELLED = "cancelled"  # nothing is learned from such an execution
TEMPORARY = ("vlm_unavailable", "busy", "gone")


class Unanswered(InarvlError):
    """No arm gave an answer; the message says why each one failed.

    Attributes:
        may_pass: whether every failure is of a temporary kind, so that a retry may succeed.
    """

    code = "unanswered"

    def __init__(self, attempts: list[Attempt]) -> None:
        super().__init__("; ".join(f"{attempt.execution.arm.id}: {attempt.text}" for attempt in attempts))
        self.may_pass = all(attempt.execution.failure in TEMPORARY for attempt in attempts)


class DeadlineExpired(InarvlError):
    """The deadline passed before there was an answer."""

    code = "deadline_expired"


class HedgedCalls:
    """Asks arms until one answers.

    Args:
        retries: limits how often an arm is asked again after an invalid answer.
    """

    def __init__(
        self,
        policy: Policy[Any],
        arms: Arms,
        settings: Settings,
        *,
        retries: TokenBucket,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._arms = arms
        self._retries = retries
        self._max_tokens = settings.intake.max_tokens
        self._clock = clock
        self._hedges = TokenBucket(HEDGE_SHARE, HEDGE_BURST)

    def apply(self, settings: Settings) -> None:
        """Applies the new token limit."""
        self._max_tokens = settings.intake.max_tokens

    async def first_answer(
        self, decision: DecisionLike, question: Question, attempts: list[Attempt], *, expires_at: float
    ) -> DecisionLike:
        """Asks arms until one answers. Appends every attempt to `attempts`, the successful one last.

        Args:
            expires_at: seconds on the clock.

        Returns:
            The decision whose arm answered: `decision`, or a fallback of it.

        Raises:
            DeadlineExpired: the deadline passed before there was an answer.
            Unanswered: every arm failed.
        """
        while True:
            if self._clock() >= expires_at:
                raise DeadlineExpired("no answer was ready before the deadline: allow more deadline_ms")
            backup = self._board_fallback(decision)
            if backup is None:
                attempts.append(await self.ask(decision.arm, question, expires_at=expires_at))
            else:
                decision = await self._race(decision, backup, question, attempts, expires_at)
            if attempts[-1].execution.failure is None:
                return decision
            if self._may_repeat(attempts):
                question = question.after(attempts[-1].text)
                continue
            following = self._policy.fallback(decision, attempts[-1].execution, now=self._clock())
            if following is None:
                raise Unanswered(attempts)
            decision = following

    async def ask(
        self, arm: Arm, question: Question, *, expires_at: float, purpose: Purpose = "answer"
    ) -> Attempt:
        """Asks one arm; returns an Attempt also for a failure."""
        left_s = expires_at - self._clock()
        if left_s <= 0:
            return Attempt(Execution(arm, latency_ms=None, failure="deadline_expired"), "no time was left")
        limits = (self._max_tokens, question.query.max_tokens, max_tokens(question.query.form))
        tokens = min(limit for limit in limits if limit is not None)
        return await self._arms.ask(arm, question, max_tokens=tokens, timeout_s=left_s, purpose=purpose)

    def _may_repeat(self, attempts: list[Attempt]) -> bool:
        """Returns whether to ask the last arm again: its answer was invalid, for the first time."""
        last = attempts[-1].execution
        invalid = [attempt for attempt in attempts if attempt.execution.failure == INVALID]
        first = [attempt.execution.arm for attempt in invalid].count(last.arm) == 1
        return last.failure == INVALID and first and self._retries.spend()

    def _board_fallback(self, decision: DecisionLike) -> DecisionLike | None:
        """Returns the first fallback of a cloud decision that asks the board; None if there is none."""
        following: DecisionLike | None = decision
        asked: set[Arm] = set()
        while following is not None and following.arm.tier == "cloud":
            if following.arm in asked:  # a policy that repeats itself must not stop the agent
                return None
            asked.add(following.arm)
            late = Execution(following.arm, latency_ms=None, failure="late")
            following = self._policy.fallback(following, late, now=self._clock())
        return None if following is decision else following

    async def _race(
        self,
        cloud: DecisionLike,
        board: DecisionLike,
        question: Question,
        attempts: list[Attempt],
        expires_at: float,
    ) -> DecisionLike:
        finished: dict[str, Attempt] = {}
        ended = anyio.Event()

        async def ask(arm: Arm) -> None:
            nonlocal ended
            finished[arm.id] = await self.ask(arm, question, expires_at=expires_at)
            ended.set()
            ended = anyio.Event()

        def answered() -> bool:
            return any(attempt.execution.failure is None for attempt in finished.values())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, cloud.arm)
            with anyio.move_on_after(self._hedge_after_s(cloud, board, expires_at)):
                await ended.wait()
            hedged = not finished
            if hedged:
                tasks.start_soon(ask, board.arm)
                while not answered() and len(finished) < 2:
                    await ended.wait()
            tasks.cancel_scope.cancel()
        return _settle(cloud, board, finished, attempts, hedged=hedged)

    def _hedge_after_s(self, cloud: DecisionLike, board: DecisionLike, expires_at: float) -> float:
        predicted = cloud.predictions.get(board.arm.id)
        board_s = 0.0 if predicted is None else predicted.latency_ms / 1e3
        latest_s = max(0.0, expires_at - self._clock() - BOARD_RESERVE * board_s)
        self._hedges.fill()
        late_s = p95_s(cloud, cloud.arm)
        return late_s if late_s < latest_s and self._hedges.spend() else latest_s


def p95_s(decision: DecisionLike, arm: Arm) -> float:
    """Returns the predicted 95th percentile of the latency of `arm`, in seconds; infinite if unknown."""
    predicted = decision.predictions.get(arm.id)
    return math.inf if predicted is None else predicted.latency_p95_ms / 1e3


def _settle(
    cloud: DecisionLike,
    board: DecisionLike,
    finished: dict[str, Attempt],
    attempts: list[Attempt],
    *,
    hedged: bool,
) -> DecisionLike:
    """Appends the calls of a race to `attempts`, the deciding one last, and returns its decision."""
    first, second = finished.get(cloud.arm.id), finished.get(board.arm.id)
    if first is not None and first.execution.failure is None:
        if hedged:
            cancelled = Execution(board.arm, latency_ms=None, failure=CANCELLED)
            attempts.append(second or Attempt(cancelled, "the cloud was faster"))
        attempts.append(first)
        return cloud
    if second is None:
        assert first is not None, "a race ends with an answer or with both calls ended"
        attempts.append(first)
        return cloud
    late = Execution(cloud.arm, latency_ms=None, failure="late")
    attempts += [first or Attempt(late, "it was too slow"), second]
    return board
