"""Queries from inside the process: the same limits and queue, and exactly one reply, without the spool."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agent.config.settings import Settings
from agent.intake.direct_door import DirectDoor
from agent.intake.intake import Intake
from agent.intake.queue import RequestQueue
from agent.messages.query import Query
from agent.messages.reply import Refusal
from inarvl.errors import InarvlError

pytestmark = pytest.mark.anyio
NOW = 100.0


class Site:
    def __init__(self, **site: Any) -> None:
        self.queue = RequestQueue(4, workers=1, clock=lambda: NOW)
        intake = Intake(self.queue, Settings.model_validate({"device": "d", **site}))
        self.door = DirectDoor(intake, clock=lambda: NOW, wall_clock=lambda: 2000.0)


def query(number: int = 1, **fields: Any) -> Query:
    return Query(**{"id": f"q{number}", "question": "Is it open?", "image": b"x", "client": "gate", **fields})


async def test_a_query_is_queued_as_its_client_and_the_reply_is_returned() -> None:
    site, replies = Site(), []

    async def ask() -> None:
        replies.append(await site.door.ask(query(deadline_ms=5000), verified=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        request = await site.queue.get()
        assert request is not None
        assert (request.party, request.expires_at, request.query_id) == ("client gate", NOW + 5, "q1")
        await request.reply(Refusal("q1", "code", "message"))
    assert replies == [Refusal("q1", "code", "message")]


async def code_of(site: Site, asked: Query) -> str:
    with pytest.raises(InarvlError) as raised:
        await site.door.ask(asked, verified=True)
    return raised.value.code


async def test_what_the_limits_refuse_is_not_queued() -> None:
    site = Site(intake={"max_images": 2, "max_payload_bytes": 1024})
    assert await code_of(site, query(image=None, images=(b"x",) * 3)) == "too_many_images"
    assert await code_of(site, query(image=None, images=(b"x" * 600,) * 2)) == "too_large"
    assert await code_of(site, query(asked_at=1000.0)) == "deadline_expired"
    assert len(site.queue) == 0


async def test_the_limits_of_the_client_count_for_it() -> None:
    site = Site(clients={"gate": {"per_minute": 1, "burst": 1}})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: site.door.ask(query(), verified=True))
        assert await site.queue.get() is not None
        assert await code_of(site, query(2)) == "busy"
        tasks.cancel_scope.cancel()


async def test_a_cancelled_caller_withdraws_its_query() -> None:
    site = Site()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: site.door.ask(query(), verified=True))
        await anyio.wait_all_tasks_blocked()
        assert len(site.queue) == 1
        tasks.cancel_scope.cancel()
    assert len(site.queue) == 0
