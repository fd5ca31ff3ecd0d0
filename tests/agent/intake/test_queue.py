"""When there is more to answer than time, what matters less or comes too late gives way, and is told."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from agent.intake.job import Job
from agent.intake.queue import RequestQueue
from agent.messages.address import Address
from agent.messages.query import Query

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def job(name: str, left_s: float = 10.0, priority: int = 4, arrived_at: float = 0.0) -> Job:
    query = Query(name, "?", b"", priority=priority)
    return Job(name, query, Address("t"), arrived_at, arrived_at + left_s)


def busy(most: int = 100, took_s: float = 1.0, workers: int = 1) -> RequestQueue:
    """A queue whose workers are all at a job, after jobs that took `took_s` each."""
    waiting = RequestQueue(most, workers, clock=Clock())
    for _ in range(30):
        waiting.pace.finished(took_s)
    waiting._idle = 0
    return waiting


async def order(waiting: RequestQueue) -> list[str]:
    waiting.close()
    taken = []
    while (found := await waiting.take()) is not None:
        taken.append(found.key)
    return taken


async def test_priority_comes_first_then_the_earlier_deadline() -> None:
    waiting = RequestQueue(10, 1, clock=Clock())
    for offered in (job("b", 9), job("a", 8), job("urgent", 20, priority=9), job("idle", 1, priority=0)):
        assert waiting.offer(offered) is None
    assert await order(waiting) == ["urgent", "a", "b", "idle"]


async def test_one_that_cannot_be_reached_in_time_is_told_at_once() -> None:
    waiting = busy(took_s=1.0)
    for n in range(3):
        assert waiting.offer(job(f"{n}", 10)) is None
    shed = waiting.offer(job("late", 3.5, priority=0))
    assert shed is not None
    assert (shed[0].key, shed[1].code) == ("late", "busy")
    assert waiting.offer(job("in time", 4.5, priority=0)) is None
    assert waiting.offer(job("urgent", 3.5, priority=9)) is None, "nothing is ahead of it"


async def test_more_workers_get_further() -> None:
    waiting = busy(took_s=1.0, workers=4)
    for n in range(8):
        assert waiting.offer(job(f"{n}", 10)) is None
    assert waiting.offer(job("in time", 3.5, priority=0)) is None


async def test_nothing_is_shed_while_the_agent_is_idle() -> None:
    waiting = busy(took_s=5.0)
    waiting._idle = 1
    assert waiting.offer(job("hopeless?", 0.1)) is None


async def test_a_full_queue_gives_up_what_would_be_taken_last() -> None:
    waiting = RequestQueue(2, 1, clock=Clock())
    for offered in (job("early", 5), job("late", 9)):
        assert waiting.offer(offered) is None
    shed = waiting.offer(job("urgent", 9, priority=8))
    assert shed is not None
    assert (shed[0].key, shed[1].code) == ("late", "busy")
    refused = waiting.offer(job("unimportant", 1, priority=0))
    assert refused is not None
    assert refused[0].key == "unimportant"
    assert await order(waiting) == ["urgent", "early"]


async def test_one_whose_time_ran_out_while_it_waited_is_shed_at_its_turn() -> None:
    waiting = busy(took_s=1.0)
    held = job("held", 4.0)
    clock = waiting._clock
    assert isinstance(clock, Clock)
    clock.now = 2.5
    assert waiting.in_time(held) is None
    clock.now = 3.5
    shed = waiting.in_time(held)
    assert shed is not None
    assert shed.code == "busy"
    fresh = replace(held, arrived_at=3.4, expires_at=4.0)
    assert waiting.in_time(fresh) is None, (
        "it did not wait: whether it can be done is not the queue's question"
    )


async def test_one_whose_turn_never_comes_is_shed_when_its_time_is_over() -> None:
    waiting = busy(took_s=0.1)
    for offered in (job("unimportant", 2.0, priority=0), job("urgent", 9.0, priority=9)):
        assert waiting.offer(offered) is None
    clock = waiting._clock
    assert isinstance(clock, Clock)
    clock.now = 1.9
    assert waiting.overdue() == []
    clock.now = 2.1
    ((over, reason),) = waiting.overdue()
    assert (over.key, reason.code) == ("unimportant", "busy")
    assert await order(waiting) == ["urgent"]


async def test_the_time_that_a_reply_needs_is_none_for_its_answer() -> None:
    waiting = busy(took_s=1.0)
    assert waiting.offer(job("in time", 1.3)) is None
    shed = waiting.offer(replace(job("late", 1.3, priority=9), reserve_s=0.4))
    assert shed is not None
    assert shed[0].key == "late"
    clock = waiting._clock
    assert isinstance(clock, Clock)
    waiting.offer(replace(job("held", 9.0), reserve_s=0.4))
    clock.now = 8.5
    assert [over.key for over, _ in waiting.overdue()] == ["in time"]
    clock.now = 8.6
    assert [over.key for over, _ in waiting.overdue()] == ["held"]


async def test_every_waiting_worker_is_woken_and_each_job_taken_once() -> None:
    waiting = RequestQueue(10, 3, clock=Clock())
    taken: list[str] = []

    async def work() -> None:
        while (found := await waiting.take()) is not None:
            taken.append(found.key)
            waiting.finished(0.1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        for n in range(5):
            waiting.offer(job(f"{n}", 10 + n))
        await anyio.wait_all_tasks_blocked()
        waiting.close()
    assert sorted(taken) == ["0", "1", "2", "3", "4"]
    assert waiting.taken == 5
