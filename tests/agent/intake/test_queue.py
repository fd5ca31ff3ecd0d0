"""When not all requests can be answered in time, less important and too late ones are refused as busy."""

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


def new_request(name: str, left_s: float = 10.0, priority: int = 4, arrived_at: float = 0.0) -> Request:
    query = Query(name, "?", b"", priority=priority)
    return Request(name, query, no_reply, arrived_at, arrived_at + left_s)


async def no_reply(_reply: Reply) -> None:
    raise AssertionError("the queue sends no reply")


def busy_queue(capacity: int = 100, service_s: float = 1.0, workers: int = 1) -> RequestQueue:
    """Returns a queue whose workers are all busy, with a measured service time of `service_s`."""
    queue = RequestQueue(capacity, workers, clock=Clock())
    for _ in range(30):
        queue.service_time.observe(service_s)
    queue.idle = 0
    return queue


async def served_keys(queue: RequestQueue) -> list[str]:
    """Closes the queue and returns the keys of its requests in the order of service."""
    queue.close()
    keys = []
    while (request := await queue.get()) is not None:
        keys.append(request.key)
    return keys


async def test_priority_comes_first_then_the_earlier_deadline() -> None:
    queue = RequestQueue(10, 1, clock=Clock())
    for offered in (
        new_request("b", 9),
        new_request("a", 8),
        new_request("urgent", 20, priority=9),
        new_request("idle", 1, priority=0),
    ):
        assert queue.offer(offered) is None
    assert await served_keys(queue) == ["urgent", "a", "b", "idle"]


async def test_a_request_whose_sender_is_gone_is_withdrawn_while_it_waits() -> None:
    queue = RequestQueue(10, 1, clock=Clock())
    for name in ("a", "b", "c"):
        queue.offer(new_request(name))
    assert (queue.withdraw("b"), queue.withdraw("b"), queue.withdraw("d")) == (True, False, False)
    assert await served_keys(queue) == ["a", "c"]
    assert not queue.withdraw("a")


async def test_a_request_that_cannot_be_served_in_time_is_refused_at_once() -> None:
    queue = busy_queue(service_s=1.0)
    for n in range(3):
        assert queue.offer(new_request(f"{n}", 10)) is None
    shed = queue.offer(new_request("late", 3.5, priority=0))
    assert shed is not None
    assert (shed[0].key, shed[1].code) == ("late", "busy")
    assert queue.offer(new_request("in time", 4.5, priority=0)) is None
    assert queue.offer(new_request("urgent", 3.5, priority=9)) is None, "nothing is ahead of it"


async def test_with_more_workers_more_requests_are_in_time() -> None:
    queue = busy_queue(service_s=1.0, workers=4)
    for n in range(8):
        assert queue.offer(new_request(f"{n}", 10)) is None
    assert queue.offer(new_request("in time", 3.5, priority=0)) is None


async def test_nothing_is_refused_while_a_worker_is_idle() -> None:
    queue = busy_queue(service_s=5.0)
    queue.idle = 1
    assert queue.offer(new_request("urgent", 0.1)) is None


async def test_a_full_queue_refuses_the_request_that_would_be_served_last() -> None:
    queue = RequestQueue(2, 1, clock=Clock())
    for offered in (new_request("early", 5), new_request("late", 9)):
        assert queue.offer(offered) is None
    shed = queue.offer(new_request("urgent", 9, priority=8))
    assert shed is not None
    assert (shed[0].key, shed[1].code) == ("late", "busy")
    refused = queue.offer(new_request("unimportant", 1, priority=0))
    assert refused is not None
    assert refused[0].key == "unimportant"
    assert await served_keys(queue) == ["urgent", "early"]


async def test_a_full_queue_keeps_those_that_were_asked_last() -> None:
    """After an outage all arrive at once; those asked first have the least of their time left."""
    queue, allowed_s = RequestQueue(3, 1, clock=Clock()), 30.0
    shed = []
    for age_s in (29.0, 21.0, 25.0, 2.0, 9.0):
        offered = replace(new_request(f"{age_s:g} s ago", allowed_s - age_s), allowed_s=allowed_s)
        if (refused := queue.offer(offered)) is not None:
            shed.append(refused[0].key)
    assert shed == ["29 s ago", "25 s ago"]
    assert await served_keys(queue) == ["21 s ago", "9 s ago", "2 s ago"]


async def test_a_request_that_waited_too_long_is_refused_at_its_turn() -> None:
    queue = busy_queue(service_s=1.0)
    waiting = new_request("waiting", 4.0)
    clock = queue._clock
    assert isinstance(clock, Clock)
    clock.now = 2.5
    assert queue.too_late(waiting) is None
    clock.now = 3.5
    shed = queue.too_late(waiting)
    assert shed is not None
    assert shed.code == "busy"
    new = replace(waiting, arrived_at=3.4, expires_at=4.0)
    assert queue.too_late(new) is None, "it did not wait: the queue must not refuse it"


async def test_a_request_that_is_never_served_is_refused_when_its_time_is_over() -> None:
    queue = busy_queue(service_s=0.1)
    for offered in (new_request("unimportant", 2.0, priority=0), new_request("urgent", 9.0, priority=9)):
        assert queue.offer(offered) is None
    clock = queue._clock
    assert isinstance(clock, Clock)
    clock.now = 1.9
    assert queue.expired() == []
    clock.now = 2.1
    ((expired, reason),) = queue.expired()
    assert (expired.key, reason.code) == ("unimportant", "deadline_expired")
    assert await served_keys(queue) == ["urgent"]


async def test_the_time_reserved_for_the_reply_is_not_available_for_the_answer() -> None:
    queue = busy_queue(service_s=1.0)
    assert queue.offer(new_request("in time", 1.3)) is None
    shed = queue.offer(replace(new_request("late", 1.3, priority=9), reserve_s=0.4))
    assert shed is not None
    assert shed[0].key == "late"
    clock = queue._clock
    assert isinstance(clock, Clock)
    queue.offer(replace(new_request("waiting", 9.0), reserve_s=0.4))
    clock.now = 8.5
    assert [expired.key for expired, _ in queue.expired()] == ["in time"]
    clock.now = 8.6
    assert [expired.key for expired, _ in queue.expired()] == ["waiting"]


async def test_every_waiting_worker_is_woken_and_each_request_served_once() -> None:
    queue = RequestQueue(10, 3, clock=Clock())
    served: list[str] = []

    async def work() -> None:
        while (request := await queue.get()) is not None:
            served.append(request.key)
            queue.done(0.1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        for n in range(5):
            queue.offer(new_request(f"{n}", 10 + n))
        await anyio.wait_all_tasks_blocked()
        queue.close()
    assert sorted(served) == ["0", "1", "2", "3", "4"]
    assert queue.served == 5
