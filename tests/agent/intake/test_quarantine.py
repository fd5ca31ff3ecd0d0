"""A query at which the agent crashes twice in a row is answered with an error; the others are answered."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from agent.intake.request import Request
from agent.messages.reply import Refusal
from agent.spool.spool import Spool
from door_rig import TOPICS, DoorRig, query

pytestmark = pytest.mark.anyio


class Crash(Exception):
    """Replaces the end of the process."""


def crash(rig: DoorRig, *requests: Request) -> None:
    """Ends the process while it works on some requests."""
    with ExitStack() as stack:
        for request in requests:
            stack.enter_context(rig.under_way.work_on(request.key))
        rig.under_way.close()


async def answer(rig: DoorRig, request: Request) -> None:
    with rig.under_way.work_on(request.key):
        await request.reply(Refusal(request.query_id, "code", "message"))


async def next_request(rig: DoorRig) -> Request:
    with anyio.fail_after(10):
        request = await rig.queue.get()
    assert request is not None
    return request


async def test_a_query_that_crashes_the_agent_twice_is_set_aside(spool: Spool, tmp_path: Path) -> None:
    first = DoorRig(spool, under_way=tmp_path / "under-way")
    for name in ("good", "poison", "waiting"):
        await first.receive(query(id=name))
    good, poison, _ = await first.submitted()
    crash(first, good, poison)

    second = DoorRig(spool, under_way=tmp_path / "under-way")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.door.resume, await spool.waiting())
        assert (await next_request(second)).query_id == "waiting", "it was not in work, so it comes first"
        suspect = await next_request(second)
        assert suspect.query_id == "good"
        assert not len(second.queue), "suspects come one at a time"
        await answer(second, suspect)
        poison = await next_request(second)
        crash(second, poison)
        tasks.cancel_scope.cancel()

    third = DoorRig(spool, under_way=tmp_path / "under-way")
    await third.door.resume(await spool.waiting())
    await third.publish()
    assert [(refusal.id, refusal.code) for refusal in third.refused()] == [("poison", "internal")]
    assert third.events == ["query_set_aside"]
    assert [request.query_id for request in await third.submitted()] == ["waiting"]


@pytest.mark.parametrize("topic", [TOPICS.query, TOPICS.query_of("t")])
async def test_a_message_that_crashes_the_agent_while_it_is_read_is_set_aside(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    payload = query(id="poison")
    for _ in range(2):
        rig = DoorRig(spool, under_way=tmp_path / "under-way")
        with monkeypatch.context() as patch:
            patch.setattr(rig.door._reader, "_read", lambda _: (_ for _ in ()).throw(Crash))
            with pytest.raises(Crash):
                await rig.receive(payload, topic=topic, dup=True, response_topic=TOPICS.result("t"))
        rig.under_way.close()
    rig = DoorRig(spool, under_way=tmp_path / "under-way")
    await rig.receive(payload, topic=topic, dup=True, response_topic=TOPICS.result("t"))
    ((replied, _, _),) = rig.connection.published
    assert (replied, rig.refused()[0].code) == (TOPICS.result("t"), "internal")
    assert rig.events == ["query_set_aside"]
    assert rig.acknowledged == [0]


async def test_a_stop_while_a_query_is_in_work_is_no_crash(spool: Spool, tmp_path: Path) -> None:
    rig = DoorRig(spool, under_way=tmp_path / "under-way")
    await rig.receive(query(id="q"))
    (request,) = await rig.submitted()

    async def work() -> None:
        with rig.under_way.work_on(request.key):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    rig.under_way.close()
    after = DoorRig(spool, under_way=tmp_path / "under-way")
    assert after.under_way.verdict(request.key) == "unknown"
