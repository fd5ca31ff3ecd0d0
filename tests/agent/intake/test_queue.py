"""When there is more to answer than time, what matters less or comes too late gives way, and is told."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from agent.intake.queue import RequestQueue
from agent.intake.request import Request
from agent.messages.query import Query
from agent.messages.reply import Reply

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def request(name: str, left_s: float = 10.0, priority: int = 4, arrived_at: float = 0.0) -> Request:
    query = Query(name, "?", b"", priority=priority)
    return Request(name, query, no_reply, arrived_at, arrived_at + left_s)


async def no_reply(_reply: Reply) -> None:
    raise AssertionError("the queue replies to nobody")


def busy(most: int = 100, took_s: float = 1.0, workers: int = 1) -> RequestQueue:
    """A queue whose workers are all at a job, after jobs that took `took_s` each."""
    queue = RequestQueue(most, workers, clock=Clock())
    for _ in range(30):
        queue.service_time.observe(took_s)
    queue._idle = 0
    return queue


async def order(queue: RequestQueue) -> list[str]:
    queue.close()
    taken = []
    while (found := await queue.get()) is not None:
        taken.append(found.key)
    return taken


async def test_priority_comes_first_then_the_earlier_deadline() -> None:
    queue = RequestQueue(10, 1, clock=Clock())
    for offered in (
        request("b", 9),
        request("a", 8),
        request("urgent", 20, priority=9),
        request("idle", 1, priority=0),
    ):
        assert queue.offer(offered) is None
    assert await order(queue) == ["urgent", "a", "b", "idle"]


async def test_one_that_cannot_be_reached_in_time_is_told_at_once() -> None:
    queue = busy(took_s=1.0)
    for n in range(3):
        assert queue.offer(request(f"{n}", 10)) is None
    shed = queue.offer(request("late", 3.5, priority=0))
    assert shed is not None
    assert (shed[0].key, shed[1].code) == ("late", "busy")
    assert queue.offer(request("in time", 4.5, priority=0)) is None
    assert queue.offer(request("urgent", 3.5, priority=9)) is None, "nothing is ahead of it"


async def test_more_workers_get_further() -> None:
    queue = busy(took_s=1.0, workers=4)
    for n in range(8):
        assert queue.offer(request(f"{n}", 10)) is None
    assert queue.offer(request("in time", 3.5, priority=0)) is None


async def test_nothing_is_shed_while_the_agent_is_idle() -> None:
    queue = busy(took_s=5.0)
    queue._idle = 1
    assert queue.offer(request("hopeless?", 0.1)) is None


async def test_a_full_queue_gives_up_what_would_be_taken_last() -> None:
    queue = RequestQueue(2, 1, clock=Clock())
    for offered in (request("early", 5), request("late", 9)):
        assert queue.offer(offered) is None
    shed = queue.offer(request("urgent", 9, priority=8))
    assert shed is not None
    assert (shed[0].key, shed[1].code) == ("late", "busy")
    refused = queue.offer(request("unimportant", 1, priority=0))
    assert refused is not None
    assert refused[0].key == "unimportant"
    assert await order(queue) == ["urgent", "early"]


async def test_one_whose_time_ran_out_while_it_waited_is_shed_at_its_turn() -> None:
    queue = busy(took_s=1.0)
    held = request("held", 4.0)
    clock = queue._clock
    assert isinstance(clock, Clock)
    clock.now = 2.5
    assert queue.too_late(held) is None
    clock.now = 3.5
    shed = queue.too_late(held)
    assert shed is not None
    assert shed.code == "busy"
    fresh = replace(held, arrived_at=3.4, expires_at=4.0)
    assert queue.too_late(fresh) is None, (
        "it did not wait: whether it can be done is not the queue's question"
    )


async def test_one_whose_turn_never_comes_is_shed_when_its_time_is_over() -> None:
    queue = busy(took_s=0.1)
    for offered in (request("unimportant", 2.0, priority=0), request("urgent", 9.0, priority=9)):
        assert queue.offer(offered) is None
    clock = queue._clock
    assert isinstance(clock, Clock)
    clock.now = 1.9
    assert queue.expired() == []
    clock.now = 2.1
    ((over, reason),) = queue.expired()
    assert (over.key, reason.code) == ("unimportant", "busy")
    assert await order(queue) == ["urgent"]


async def test_the_time_that_a_reply_needs_is_none_for_its_answer() -> None:
    queue = busy(took_s=1.0)
    assert queue.offer(request("in time", 1.3)) is None
    shed = queue.offer(replace(request("late", 1.3, priority=9), reserve_s=0.4))
    assert shed is not None
    assert shed[0].key == "late"
    clock = queue._clock
    assert isinstance(clock, Clock)
    queue.offer(replace(request("held", 9.0), reserve_s=0.4))
    clock.now = 8.5
    assert [over.key for over, _ in queue.expired()] == ["in time"]
    clock.now = 8.6
    assert [over.key for over, _ in queue.expired()] == ["held"]


async def test_every_waiting_worker_is_woken_and_each_job_taken_once() -> None:
    queue = RequestQueue(10, 3, clock=Clock())
    taken: list[str] = []

    async def work() -> None:
        while (found := await queue.get()) is not None:
            taken.append(found.key)
            queue.done(0.1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        for n in range(5):
            queue.offer(request(f"{n}", 10 + n))
        await anyio.wait_all_tasks_blocked()
        queue.close()
    assert sorted(taken) == ["0", "1", "2", "3", "4"]
    assert queue.served == 5
