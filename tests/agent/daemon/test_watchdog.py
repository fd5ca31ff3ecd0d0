"""The watchdog reports what makes no progress, and waits for patient queries."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.daemon.watchdog import STUCK_S, Watchdog
from agent.intake.queue import RequestQueue
from agent.intake.request import Request
from agent.messages.query import Query

pytestmark = pytest.mark.anyio
DEADLINE_S = 600.0


class Spool:
    async def measured(self) -> None:
        pass


class Rig:
    """A watchdog over a real queue, and workers whose requests a test sets."""

    def __init__(self, workers: int = 1) -> None:
        self.now = 0.0
        self.queue = RequestQueue(8, workers, clock=lambda: self.now)
        self.workers = SimpleNamespace(busy_until={})
        mqtt = SimpleNamespace(alive=True)
        self.watchdog = Watchdog(
            Spool(),  # type: ignore[arg-type]
            mqtt,  # type: ignore[arg-type]
            self.workers,  # type: ignore[arg-type]
            self.queue,
            clock=lambda: self.now,
        )

    async def stuck_at(self, now: float) -> str | None:
        self.now = now
        return await self.watchdog.stuck(1.0)

    def offer(self, key: str) -> None:
        async def reply(_reply: object) -> None:
            raise AssertionError

        query = Query(key, "what?", b"")
        assert self.queue.offer(Request(key, query, reply, self.now, self.now + DEADLINE_S)) is None


async def test_a_query_may_take_until_its_deadline() -> None:
    rig = Rig()
    rig.workers.busy_until["q"] = DEADLINE_S
    assert await rig.stuck_at(DEADLINE_S + STUCK_S - 1) is None
    assert "after its deadline" in str(await rig.stuck_at(DEADLINE_S + STUCK_S))


async def test_queries_may_wait_while_every_worker_is_at_a_patient_one() -> None:
    rig = Rig(workers=1)
    rig.offer("patient")
    assert await rig.queue.get() is not None
    rig.offer("waiting")
    assert await rig.stuck_at(1.0) is None
    assert await rig.stuck_at(DEADLINE_S - 1) is None


async def test_queries_that_wait_beside_an_idle_worker_are_stuck() -> None:
    rig = Rig(workers=2)
    rig.offer("taken")
    assert await rig.queue.get() is not None
    rig.offer("waiting")
    assert await rig.stuck_at(1.0) is None
    assert "though a worker is idle" in str(await rig.stuck_at(1.0 + STUCK_S))
