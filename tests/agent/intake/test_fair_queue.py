"""Clients get fair shares of the queue, whatever priority they claim and however much one of them asks."""

from __future__ import annotations

from collections import Counter
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


async def no_reply(_reply: Reply) -> None:
    raise AssertionError("the queue sends no reply")


def ask(
    client: str, number: int = 0, *, priority: int = 4, left_s: float = 60.0, verified: bool = True
) -> Request:
    query = Query(f"{client}-{number}", "?", b"", priority=priority, client=client)
    return Request(f"{client}-{number}", query, no_reply, 0.0, left_s, verified=verified, reply_to=client)


async def served(queue: RequestQueue, count: int) -> list[str]:
    """Who is served next; one worker serves all."""
    clients = []
    for _ in range(count):
        request = await queue.get()
        assert request is not None
        queue.done(0.1, request)
        clients.append(request.query.client)
    return clients


def full_of(queue: RequestQueue, *flooders: str, count: int = 50, verified: bool = True) -> None:
    for number in range(count):
        for client in flooders:
            assert queue.offer(ask(client, number, priority=9, verified=verified)) is None


@pytest.mark.parametrize("verified", [True, False])
async def test_a_polite_client_is_served_at_its_turn_beside_one_that_floods(verified: bool) -> None:
    queue = RequestQueue(1000, 1, clock=Clock())
    full_of(queue, "flood", verified=verified)
    await served(queue, 10)
    for number in range(5):
        queue.offer(ask("polite", number, verified=verified))
        assert "polite" in await served(queue, 3)


async def test_clients_that_always_wait_get_the_same_number_of_turns() -> None:
    queue = RequestQueue(1000, 1, clock=Clock())
    full_of(queue, "a", "b", "c")
    assert Counter(await served(queue, 90)) == {"a": 30, "b": 30, "c": 30}


async def test_one_client_alone_uses_everything() -> None:
    queue = RequestQueue(100, 8, clock=Clock())
    full_of(queue, "only", count=100)
    in_work = [await queue.get() for _ in range(8)]
    assert None not in in_work
    assert queue.idle == 0


async def test_a_higher_weight_gets_more_turns_and_none_starves() -> None:
    queue = RequestQueue(1000, 1, clock=Clock())
    for number in range(100):
        queue.offer(replace(ask("alarm", number), weight=2.0))
        queue.offer(ask("other", number))
    assert Counter(await served(queue, 90)) == {"alarm": 60, "other": 30}


async def test_all_claimed_names_together_have_one_share() -> None:
    queue = RequestQueue(1000, 1, clock=Clock())
    for number in range(50):
        queue.offer(ask(f"name-{number}", verified=False, priority=9))
        queue.offer(ask("camera", number))
    assert 19 <= Counter(await served(queue, 40))["camera"] <= 21


async def test_a_new_name_for_each_message_starves_nobody() -> None:
    queue, clients = RequestQueue(2000, 1, clock=Clock()), []
    for turn in range(20):
        queue.offer(ask("polite", turn, verified=False))
        for number in range(6):
            queue.offer(ask(f"new-{turn}-{number}", verified=False, priority=9))
        clients += await served(queue, 6)
    assert Counter(clients)["polite"] >= 9


async def test_a_full_queue_refuses_one_of_the_client_with_the_most() -> None:
    queue = RequestQueue(20, 1, clock=Clock())
    full_of(queue, "flood", count=20)
    for number in range(9):
        shed = queue.offer(ask("polite", number))
        assert shed is not None
        assert (shed[0].query.client, shed[1].code) == ("flood", "busy")
    shed = queue.offer(ask("flood", 99, priority=9))
    assert shed is not None
    assert shed[0].query.client == "flood"
    assert Counter(await served(queue, 20)) == {"flood": 11, "polite": 9}


async def test_the_queue_of_another_client_does_not_make_a_request_late() -> None:
    """The flooder is refused, because its own queue is too long; the polite client is not."""
    queue = RequestQueue(1000, 1, clock=Clock())
    for _ in range(30):
        queue.service_time.observe(1.0)
    queue.idle = 0
    full_of(queue, "flood", count=50)
    refused = queue.offer(ask("flood", 50, left_s=49.0))
    assert refused is not None
    assert refused[0].key == "flood-50"
    assert queue.offer(ask("polite", left_s=5.0)) is None


async def test_slow_requests_of_another_client_do_not_make_a_quick_one_look_late() -> None:
    queue = RequestQueue(1000, 8, clock=Clock())
    for number in range(50):
        queue.offer(ask("slow", number))
        queue.offer(ask("quick", number))
        for request in (await queue.get(), await queue.get()):
            assert request is not None
            queue.done(20.0 if request.query.client == "slow" else 0.1, request)
    full_of(queue, "slow", count=7)
    assert queue.offer(ask("quick", 99, left_s=9.0)) is None


@pytest.mark.parametrize("verified", [True, False])
async def test_slow_requests_of_one_client_leave_a_worker_to_the_others(verified: bool) -> None:
    queue = RequestQueue(1000, 8, clock=Clock())
    queue.offer(ask("polite", verified=verified))
    await served(queue, 1)
    full_of(queue, "slow", verified=verified)
    for _ in range(7):
        assert await queue.get() is not None
    with anyio.move_on_after(0.05) as waiting:
        await queue.get()
    assert waiting.cancelled_caught
    queue.offer(ask("polite", 1, verified=verified))
    request = await queue.get()
    assert request is not None
    assert request.query.client == "polite"


async def test_a_closed_queue_uses_all_workers_and_ends() -> None:
    queue = RequestQueue(1000, 8, clock=Clock())
    queue.offer(ask("polite"))
    full_of(queue, "slow", count=8)
    queue.close()
    assert len([await queue.get() for _ in range(9)]) == 9
    assert await queue.get() is None


async def test_what_is_remembered_of_clients_is_bounded() -> None:
    queue = RequestQueue(10, 1, clock=Clock())
    for number in range(2000):
        queue.offer(ask(f"name-{number}", verified=number % 2 == 0))
        await served(queue, 1)
    assert len(queue._clients) <= 256
    assert len(queue._waiting._parties._known) <= 257
    assert len(queue._waiting._members._known) <= 257
    assert not queue._in_work


async def test_a_full_queue_refuses_more_of_the_one_that_floods_before_anything_is_stored() -> None:
    queue = RequestQueue(20, 1, clock=Clock())
    full_of(queue, "flood", count=20)
    assert queue.refusal(ask("flood", 99)) is None, (
        "alone, its newest replaces an older one, as after an outage"
    )
    assert queue.refusal(ask("polite")) is None
    assert queue.refusal(ask("flood", 99)) is not None
    assert len(queue) == 20
