"""A restart submits the unanswered queries and publishes the undelivered replies of the run before."""

from __future__ import annotations

import pytest

from agent.intake.uptime import Uptime
from agent.messages.reply import Refusal
from agent.spool.spool import Spool
from door_rig import JPEG, TOPICS, DoorRig, query

pytestmark = pytest.mark.anyio


async def test_unanswered_queries_are_submitted_after_a_restart(spool: Spool) -> None:
    before = DoorRig(spool)
    await before.receive(query(id="q", correlation="m"), correlation=b"c")
    await before.receive(JPEG, user={"question": "What?"})
    after = DoorRig(spool, now_s=1010.0)
    unanswered = await spool.waiting()
    await after.door.resume(unanswered)
    assert not unanswered, "the images must not stay in memory for the whole run"
    await after.publish()
    first, second = sorted(await after.submitted(), key=lambda request: request.query.question)
    assert (first.query_id, first.correlation) == ("q", "m")
    assert (second.query.question, second.query.image) == ("What?", JPEG)
    assert all(request.resent and request.expires_at == 25.0 for request in (first, second))
    assert {request.key for request in (first, second)} == {
        request.key for request in await before.submitted()
    }
    assert await after.destination(first) == (TOPICS.result(), b"c")


@pytest.mark.parametrize("jump_s", [-3600.0, 0.0, 3600.0])
async def test_a_clock_change_while_the_agent_was_stopped_changes_no_deadline(
    spool: Spool, jump_s: float
) -> None:
    await DoorRig(spool, uptime=Uptime("boot", 50_000)).receive(query(id="q"))
    after = DoorRig(spool, now_s=1010.0 + jump_s, uptime=Uptime("boot", 60_000))
    await after.door.resume(await spool.waiting())
    (request,) = await after.submitted()
    assert request.expires_at == 25.0


@pytest.mark.parametrize(("now_s", "left_s"), [(1010.0, 20.0), (900.0, 30.0)])
async def test_across_a_reboot_the_wall_clock_counts_but_never_adds_time(
    spool: Spool, now_s: float, left_s: float
) -> None:
    await DoorRig(spool, uptime=Uptime("boot", 50_000)).receive(query(id="q"))
    after = DoorRig(spool, now_s=now_s, uptime=Uptime("another boot", 60_000))
    await after.door.resume(await spool.waiting())
    (request,) = await after.submitted()
    assert request.expires_at == 5.0 + left_s


async def test_a_refusal_interrupted_by_a_crash_is_sent_after_the_restart(spool: Spool) -> None:
    before = DoorRig(spool)

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    before.outbox.send = crash  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        await before.receive(query(id="q", pin="moon"))
    assert before.acknowledged == [0]
    after = DoorRig(spool)
    await after.door.resume(await spool.waiting())
    await after.publish()
    (refusal,) = after.refused()
    assert (refusal.id, refusal.code, refusal.resent) == ("q", "unknown_pin", True)
    assert await spool.waiting() == []


async def test_a_query_has_one_reply_and_an_undelivered_one_is_published_again(rig: DoorRig) -> None:
    await rig.receive(query(id="q"))
    (request,) = await rig.submitted()
    await rig.spool.answer(request.key, b"kept before a crash")
    await request.reply(Refusal("q", "late", "too late"))
    assert rig.connection.published == []
    rig.outbox.resume(await rig.spool.undelivered())
    await rig.publish()
    rig.outbox.resume(await rig.spool.undelivered())
    await rig.publish()
    assert rig.connection.published == [(TOPICS.result(), b"kept before a crash", None)]
