"""An answer is published before its deadline, or an error instead of it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from agent.answering.answering import Answered, Finished
from agent.answering.arms import Attempt
from agent.answering.feedback import Feedback
from agent.answering.question import Question, QuestionReader
from agent.answering.workers import Workers
from agent.config.settings import Settings
from agent.intake.outbox import Outbox
from agent.intake.queue import RequestQueue
from agent.intake.reply_publisher import ReplyPublisher
from agent.intake.request import Request
from agent.messages.address import Address
from agent.messages.query import Query
from agent.messages.reply import Answer, Refusal, Reply, reply_from_bytes
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from agent.spool.dead_letters import DeadLetters
from agent.spool.spool import Spool
from agent.spool.under_way import UnderWay
from controller.arm import Arm
from controller.context import Context, Option
from controller.controller import Controller
from controller.outcome import Execution
from controller.settings import ControllerSettings
from lab.scenes.render import render
from lab.scenes.scene import draw

pytestmark = pytest.mark.anyio
BOARD = Arm("local", "m", 64, "board")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowConnection:
    """Replaces the MQTT connection; each publish advances the test's clock by `publish_s`."""

    def __init__(self, clock: Clock, publish_s: float) -> None:
        self.replies: list[tuple[float, Reply]] = []
        self._clock = clock
        self._publish_s = publish_s

    async def publish(self, _topic: str, payload: bytes, **_options: Any) -> None:
        self._clock.now += self._publish_s
        self.replies.append((self._clock.now, reply_from_bytes(payload)))


class SlowAnswering:
    """Replaces `Answering`; each answer advances the clock by `answer_s`, by default by all the time left."""

    def __init__(self, clock: Clock, answer_s: float | None) -> None:
        self.learned_from = 0
        self.fault: Exception | None = None
        self._clock = clock
        self._answer_s = answer_s
        self._controller = Controller(ControllerSettings(), rng=np.random.default_rng(0))

    async def answer(self, question: Question, *, expires_at: float) -> Answered:
        left_s = expires_at - self._clock.now
        self._clock.now += left_s if self._answer_s is None else self._answer_s
        context = Context(question.signals, (Option(BOARD),))
        run = Attempt(Execution(BOARD, latency_ms=1.0, answer="two"), "two")
        return Answered(question, self._controller.decide(context, now=0.0), (run,), 0, "board: the only arm")

    async def finish(self, answered: Answered) -> Finished:
        self.learned_from += 1
        if self.fault is not None:
            raise self.fault
        return Finished(answered.attempts, (), ())

    def feedback(self, decision_id: str, correct: bool, weight: float) -> bool:
        return self._controller.feedback(decision_id, correct, now=self._clock.now, weight=weight)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool.db", max_waiting=64)
    yield opened
    await opened.close()


def reader() -> QuestionReader:
    return QuestionReader(lambda: (64,), Settings.model_validate({"device": "d"}))


async def answer_queries(
    spool: Spool,
    count: int,
    *,
    answer_s: float | None,
    publish_s: float = 0.0,
    left_s: float = 4.0,
    fault: Exception | None = None,
) -> tuple[list[tuple[float, Reply]], int]:
    """Answers `count` queries one after the other.

    Returns:
        The seconds from arrival to published reply, and the reply, for each query; and how many answers were
        learned from.
    """
    clock = Clock()
    connection, answering = SlowConnection(clock, publish_s), SlowAnswering(clock, answer_s)
    answering.fault = fault
    folder = Path(tempfile.mkdtemp())
    publisher = ReplyPublisher(
        connection, Topics("d"), DeadLetters(folder, print), ReplyRules(Topics("d"), ("t",))
    )  # type: ignore[arg-type]
    outbox = Outbox(spool, publisher, clock=clock)
    feedback = Feedback(answering.feedback)
    workers = Workers(
        answering,  # type: ignore[arg-type]
        feedback,
        reader(),
        settled=lambda: True,
        under_way=UnderWay(folder / "under-way"),
        answered=lambda *_: None,
        clock=clock,
    )
    image = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(image, "JPEG")
    replies = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.run)
        for number in range(count):
            queue, arrived_at = RequestQueue(8, 1, clock=clock), clock.now
            query = Query(f"q{number}", "what?", image.getvalue())
            reserve_s, address = outbox.reply_time.reserve_s(left_s), Address("t", query.id)
            reply = partial(outbox.send, query.id, address)
            queue.offer(Request(query.id, query, reply, arrived_at, arrived_at + left_s, reserve_s=reserve_s))
            queue.close()
            await workers.run(queue)
            await outbox.emptied()
            published_at, sent = connection.replies[-1]
            replies.append((published_at - arrived_at, sent))
        tasks.cancel_scope.cancel()
    return replies, answering.learned_from


async def test_a_late_answer_becomes_an_error_and_is_still_learned_from(spool: Spool) -> None:
    ((_, reply),), learned_from = await answer_queries(spool, 1, answer_s=4.1)
    assert isinstance(reply, Refusal)
    assert reply.code == "deadline_expired"
    assert learned_from == 1


async def test_an_answer_in_time_is_published(spool: Spool) -> None:
    ((_, reply),), _ = await answer_queries(spool, 1, answer_s=3.9)
    assert isinstance(reply, Answer)


async def test_the_time_to_publish_is_subtracted_from_the_deadline(spool: Spool) -> None:
    replies, _ = await answer_queries(spool, 12, answer_s=None, publish_s=0.3)
    assert all(isinstance(reply, Answer) for _, reply in replies)
    assert replies[0][0] > 4.0, "no publish has been measured yet"
    assert all(published_s <= 4.0 for published_s, _ in replies[1:])


async def test_a_very_slow_broker_leaves_most_of_the_time_for_the_answer(spool: Spool) -> None:
    replies, _ = await answer_queries(spool, 12, answer_s=None, publish_s=100.0)
    assert all(published_s - 100.0 >= 3.0 for published_s, _ in replies)


@pytest.mark.parametrize("fault", [ZeroDivisionError("float division by zero"), KeyError("arm")])
async def test_a_fault_while_learning_from_one_answer_harms_no_other(
    spool: Spool, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    replies, learned_from = await answer_queries(spool, 2, answer_s=0.1, fault=fault)
    assert all(isinstance(reply, Answer) for _, reply in replies)
    assert learned_from == 2
    assert caplog.text.count("Traceback (most recent call last)") == 1
