"""Gets requests from the queue, answers them and replies."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from agent.answering.answering import Answered, Answering, Finished
from agent.answering.drawn_scenes import drawn_scenes
from agent.answering.explanation import explanation
from agent.answering.feedback import Feedback
from agent.answering.hedging import DeadlineExpired
from agent.answering.question import Question, QuestionReader
from agent.forms.form import AnswerForm
from agent.forms.value import value_of
from agent.intake.queue import RequestQueue
from agent.intake.request import Request
from agent.messages.explanation import Explanation
from agent.messages.reply import Answer
from agent.spool.under_way import UnderWay
from controller import Confidence
from inarvl.door import Door
from inarvl.errors import InarvlError
from vlm import bundled

log = logging.getLogger(__name__)

EXPIRY_CHECK_S = 0.05
DECISION_ID_BYTES = 16


def answer_of(request: Request, answered: Answered, *, decision_id: str, now: float) -> Answer:
    """Returns the reply to `request`; `decision_id` is the secret by which feedback names the decision."""
    execution = answered.attempt.execution
    return Answer(
        id=request.query.id,
        answer=answered.attempt.text,
        value=_value(request.query.form, answered.attempt.text),
        tier=execution.arm.tier,
        model=execution.arm.model,
        confidence=mean_probability(execution.confidence),
        latency_ms=round((now - request.arrived_at) * 1e3, 1),
        energy_j=answered.energy_j,
        energy_source=answered.energy_source,
        decision_id=decision_id,
        reason=answered.reason,
        warning=warning_of(answered.question, execution.arm.model),
        resent=request.resent,
        correlation=request.correlation,
        **answered.cost.to_json(),
    )


def new_decision_id() -> str:
    """Returns 128 random bits in hexadecimal digits."""
    return secrets.token_hex(DECISION_ID_BYTES)


def warning_of(question: Question, model: str) -> str | None:
    """Returns a warning if a bundled model answered about an image that is unlike drawn scenes."""
    if model not in bundled.names() or all(map(drawn_scenes().contain, question.seen)):
        return None
    return (
        f"{model} was trained on drawn scenes, and the image is unlike them, so do not rely on the answer: "
        "choose a pretrained model with `inarvl-vlm models`"
    )


def _value(form: AnswerForm, text: str) -> Any:
    return None if form.kind == "auto" else value_of(form, text)


def mean_probability(confidence: Confidence | None) -> float | None:
    """Returns the geometric mean of the answer's token probabilities; None if the server reports none."""
    if confidence is None or confidence.mean_logprob is None:
        return None
    return round(math.exp(confidence.mean_logprob), 4)


class InternalError(InarvlError):
    """A fault in the agent. It must not end the process: after a restart the spool would repeat the query."""

    code = "internal"


class Workers:
    """Answers requests, several at a time, and learns from each after its reply was sent.

    Attributes:
        busy_until: when the work on each request in progress should end, in seconds on the clock, by request
            key: at its deadline, or at its start if that is later.

    Args:
        questions: reads the question of a request; it is slow, so it runs in a thread.
        settled: returns whether the servers that can be asked are known. Until they are, a request waits for
            them, and its time does not count as service time.
        under_way: records which requests are in work, for the case of a crash.
        answered: called with each answer that was made, how it was made, and what was learned from it.
        door: guards what follows a reply: the audit, learning and the decision record.
        new_id: returns a new decision id that nobody can guess. It is in the reply to the asker and nowhere
            else: whoever knows it may give feedback on the answer.
    """

    def __init__(
        self,
        answering: Answering,
        feedback: Feedback,
        questions: QuestionReader,
        *,
        settled: Callable[[], bool],
        under_way: UnderWay,
        answered: Callable[[Request, Answer, Answered, Finished], None],
        door: Door | None = None,
        new_id: Callable[[], str] = new_decision_id,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.busy_until: dict[str, float] = {}
        self._answering = answering
        self._feedback = feedback
        self._questions = questions
        self._settled = settled
        self._under_way = under_way
        self._answered = answered
        self._door = door or Door("steps after a reply")
        self._new_id = new_id
        self._clock = clock

    async def run(self, queue: RequestQueue) -> None:
        """Answers requests until the queue is closed and empty; one worker is one call."""
        while (request := await queue.get()) is not None:
            started_at = self._clock()
            self.busy_until[request.key] = max(started_at, request.due_at)
            settled = self._settled()
            try:
                shed = queue.too_late(request)
                if shed is not None:
                    await request.refuse(shed)
                else:
                    with self._under_way.work_on(request.key):
                        await self._work(request)
            finally:
                del self.busy_until[request.key]
                queue.done(self._clock() - started_at, request, counts=settled and shed is None)

    async def refuse_expired(self, queue: RequestQueue) -> None:
        """Refuses the requests whose time ended while they waited, until cancelled."""
        while True:
            for request, reason in queue.expired():
                await request.refuse(reason)
            await anyio.sleep(EXPIRY_CHECK_S)

    async def _work(self, request: Request) -> None:
        try:
            if self._clock() >= request.due_at:
                raise DeadlineExpired("it waited past its deadline: allow more deadline_ms")
            log.debug("query %s: reading its image", request.query.id)
            read = partial(self._questions.read, request.query, verified=request.verified)
            question = await to_thread.run_sync(read)
            if request.query.dry_run:
                await self._explain(request, question)
                return
            answered = await self._answering.answer(question, expires_at=request.due_at)
            now = self._clock()
            decision_id = self._new_id()
            answer = answer_of(request, answered, decision_id=decision_id, now=now)
        except Exception as error:
            if not isinstance(error, InarvlError):
                log.exception("query %s failed because of a fault in the agent", request.key)
                error = InternalError("the agent failed on this query: see its log")
            await request.refuse(error)
            return
        for attempt in answered.attempts:
            execution = attempt.execution
            outcome = execution.failure or f"{execution.latency_ms:.0f} ms"
            log.debug("query %s: asked %s: %s", request.query.id, execution.arm.id, outcome)
        if now < request.expires_at:
            log.debug("query %s: answered: %s", request.query.id, answered.reason)
            self._feedback.remember(decision_id, answered.decision.id, query=request.query)
            await request.reply(answer)
        else:
            await request.refuse(DeadlineExpired("its answer came too late: allow more deadline_ms"))
        with self._door.guard(f"query {request.key}"):
            finished = await self._answering.finish(answered)
            self._feedback.finished(decision_id, finished.known)
            self._answered(request, answer, answered, finished)

    async def _explain(self, request: Request, question: Question) -> None:
        """Replies with what would be decided; no model is asked."""
        decision = await explanation(self._answering, question, expires_at=request.due_at)
        await request.reply(
            Explanation(request.query.id, decision, request.resent, correlation=request.correlation)
        )
