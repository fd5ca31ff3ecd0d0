"""The loop that turns jobs into replies."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import anyio
from anyio import to_thread

from agent.answering.answering import Answered, Answering
from agent.answering.feedback import Feedback
from agent.answering.hedging import DeadlineExpired
from agent.answering.question import Question
from agent.intake.intake import refusal
from agent.intake.job import Job
from agent.intake.outbox import Outbox
from agent.intake.queue import RequestQueue
from agent.messages.reply import Answer
from controller.drift import DriftEvent
from controller.outcome import Confidence
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

SHED_S = 0.05


def answer_of(job: Job, answered: Answered, *, now: float) -> Answer:
    """The reply that tells `answered` to the sender of `job`."""
    execution = answered.run.execution
    return Answer(
        id=job.query.id,
        answer=answered.run.text,
        tier=execution.arm.tier,
        model=execution.arm.model,
        confidence=certainty(execution.confidence),
        latency_ms=round((now - job.arrived_at) * 1e3, 1),
        energy_j=answered.energy_j,
        energy_source=answered.energy_source,
        decision_id=answered.decision.id,
        reason=answered.reason,
        resent=job.resent,
        correlation=job.address.mirror,
    )


def certainty(confidence: Confidence | None) -> float | None:
    """How sure a model was: the geometric mean of its tokens' probabilities."""
    if confidence is None or confidence.mean_logprob is None:
        return None
    return round(math.exp(confidence.mean_logprob), 4)


class Failed(InarvlError):
    """A fault of ours. It must not end the process: the spool would bring the query back to end it again."""

    code = "internal"


class Workers:
    """Answers jobs, several at a time, and learns from each after its reply has gone.

    Args:
        look: makes a question of a job; slow, so it is called in a thread.
        done: told of each answer and of the alarms that learning from it raised.
        settled: whether it is clear who can be asked; a job that waits for that tells nothing of the pace.
    """

    def __init__(
        self,
        answering: Answering,
        outbox: Outbox,
        feedback: Feedback,
        look: Callable[[Job], Question],
        done: Callable[[Job, Answered, tuple[DriftEvent, ...]], None],
        settled: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.busy_since: dict[str, float] = {}
        self._answering = answering
        self._outbox = outbox
        self._feedback = feedback
        self._look = look
        self._done = done
        self._settled = settled
        self._clock = clock

    async def run(self, waiting: RequestQueue) -> None:
        """Work until the queue is closed and empty."""
        while (job := await waiting.take()) is not None:
            self.busy_since[job.key] = started = self._clock()
            settled = self._settled()
            try:
                shed = waiting.in_time(job)
                if shed is not None:
                    await self._refuse(job, shed)
                else:
                    await self._work(job)
            finally:
                del self.busy_since[job.key]
                waiting.finished(self._clock() - started, counts=settled and shed is None)

    async def shed(self, waiting: RequestQueue) -> None:
        """Refuse what waited until its time was over, for ever."""
        while True:
            for job, reason in waiting.overdue():
                await self._refuse(job, reason)
            await anyio.sleep(SHED_S)

    async def _work(self, job: Job) -> None:
        try:
            if self._clock() >= job.due_at:
                raise DeadlineExpired("it waited past its deadline: allow more deadline_ms")
            question = await to_thread.run_sync(self._look, job)
            answered = await self._answering.answer(question, expires_at=job.due_at)
        except Exception as error:
            if not isinstance(error, InarvlError):
                log.exception("query %s failed in a way it never should", job.key)
                error = Failed("the agent failed on this query: its log says how")
            await self._refuse(job, error)
            return
        now = self._clock()
        if now < job.expires_at:
            self._feedback.remember(job.query.id, answered.decision.id)
            await self._outbox.send(job.key, job.address, answer_of(job, answered, now=now))
        else:
            await self._refuse(job, DeadlineExpired("its answer came too late: allow more deadline_ms"))
        self._done(job, answered, await self._answering.finish(answered))

    async def _refuse(self, job: Job, error: InarvlError) -> None:
        await self._outbox.send(job.key, job.address, refusal(job.address, error, resent=job.resent))
