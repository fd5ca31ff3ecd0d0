"""Getting a first answer to a question that was placed.

1. A failed arm falls back to the next one until none is left.
2. A cloud call that takes longer than nineteen in twenty should, or that leaves just the time in which the
   board can answer, is raced by the board. The first good answer wins, and the other call is cancelled.
3. The first kind of race has a budget, the second has not: it is what keeps the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from agent.answering.question import Question
from agent.answering.servers import Attempt, Servers
from agent.answering.token_bucket import TokenBucket
from controller.arm import Arm
from controller.controller import Controller
from controller.decision import Decision
from controller.outcome import Execution
from inarvl.errors import InarvlError

RESERVE = 1.5  # of the board's predicted latency, since predictions err
HEDGED, BURST = 0.1, 5.0
P95 = 1.645  # deviations of a normal distribution
CANCELLED = "cancelled"  # an execution that nothing is learned from


class Unanswered(InarvlError):
    """No arm gave an answer; the message says what each one failed with.

    Attributes:
        passing: every failure is of a kind that may be over in a moment.
    """

    code = "unanswered"

    def __init__(self, runs: list[Attempt]) -> None:
        super().__init__("; ".join(f"{run.execution.arm.id}: {run.text}" for run in runs))
        self.passing = all(run.execution.failure in ("vlm_unavailable", "busy", "gone") for run in runs)


class DeadlineExpired(InarvlError):
    """The time for a question was over before an answer was there."""

    code = "deadline_expired"


class HedgedCalls:
    """Asks arms until one answers."""

    def __init__(
        self,
        controller: Controller,
        servers: Servers,
        *,
        max_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_tokens = max_tokens
        self._controller = controller
        self._servers = servers
        self._clock = clock
        self._hedges = TokenBucket(HEDGED, BURST)

    async def first_answer(
        self, decision: Decision, question: Question, runs: list[Attempt], *, expires_at: float
    ) -> Decision:
        """Append what runs to `runs`, an answer as the last; returns the decision that it follows from.

        Raises:
            DeadlineExpired, Unanswered: there is none.
        """
        while True:
            if self._clock() >= expires_at:
                raise DeadlineExpired("its time was over before an answer was there: allow more deadline_ms")
            backup = self._board_instead(decision)
            if backup is None:
                runs.append(await self.ask(decision.arm, question, expires_at=expires_at))
            else:
                decision = await self._race(decision, backup, question, runs, expires_at)
            if runs[-1].execution.failure is None:
                return decision
            following = self._controller.fallback(decision, runs[-1].execution, now=self._clock())
            if following is None:
                raise Unanswered(runs)
            decision = following

    async def ask(self, arm: Arm, question: Question, *, expires_at: float) -> Attempt:
        """Ask one arm; a failure is an Attempt too."""
        left_s = expires_at - self._clock()
        if left_s <= 0:
            return Attempt(Execution(arm, latency_ms=None, failure="deadline_expired"), "no time was left")
        tokens = min(question.query.max_tokens or self.max_tokens, self.max_tokens)
        return await self._servers.run(arm, question, max_tokens=tokens, timeout_s=left_s)

    def _board_instead(self, decision: Decision) -> Decision | None:
        """What to do when the cloud arm of `decision` is late; None when that is no help."""
        following: Decision | None = decision
        while following is not None and following.arm.tier == "cloud":
            late = Execution(following.arm, latency_ms=None, failure="late")
            following = self._controller.fallback(following, late, now=self._clock())
        return None if following is decision else following

    async def _race(
        self, first: Decision, second: Decision, question: Question, runs: list[Attempt], expires_at: float
    ) -> Decision:
        ran: dict[str, Attempt] = {}
        ended = anyio.Event()

        async def run(arm: Arm) -> None:
            nonlocal ended
            ran[arm.id] = await self.ask(arm, question, expires_at=expires_at)
            ended.set()
            ended = anyio.Event()

        def answered() -> bool:
            return any(run.execution.failure is None for run in ran.values())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, first.arm)
            with anyio.move_on_after(self._hedge_after_s(first, second, expires_at)):
                await ended.wait()
            raced = not ran
            if raced:
                tasks.start_soon(run, second.arm)
                while not answered() and len(ran) < 2:
                    await ended.wait()
            tasks.cancel_scope.cancel()
        return _settled(first, second, ran, runs, raced=raced)

    def _hedge_after_s(self, first: Decision, second: Decision, expires_at: float) -> float:
        board_s = first.predictions[second.arm.id].latency_ms / 1e3
        latest_s = max(0.0, expires_at - self._clock() - RESERVE * board_s)
        self._hedges.earn()
        late_s = p95_s(first, first.arm)
        return late_s if late_s < latest_s and self._hedges.spend() else latest_s


def p95_s(decision: Decision, arm: Arm) -> float:
    """What 19 in 20 calls stay below: log(server_ms) is taken as normal."""
    candidates = decision.basis.candidates
    return float(candidates.estimates.below_ms(P95)[candidates.roster.index[arm.id]]) / 1e3


def _settled(
    first: Decision, second: Decision, ran: dict[str, Attempt], runs: list[Attempt], *, raced: bool
) -> Decision:
    """Put what ran in order, what counts last."""
    one, other = ran.get(first.arm.id), ran.get(second.arm.id)
    if one is not None and one.execution.failure is None:
        if raced:
            lost = Execution(second.arm, latency_ms=None, failure=CANCELLED)
            runs.append(other or Attempt(lost, "the cloud was faster"))
        runs.append(one)
        return first
    if other is None:
        assert one is not None, "a race ends with an answer or with all ended"
        runs.append(one)
        return first
    late = Execution(first.arm, latency_ms=None, failure="late")
    runs += [one or Attempt(late, "it took too long"), other]
    return second
