"""Every message is answered or submitted once, and acknowledged only when the spool has it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.intake import outbox
from agent.messages.query import BadQuery
from agent.messages.reply import Refusal
from agent.spool.spool import MAX_KEPT_REPLY, Added, Spool, SpoolEntry
from door_rig import JPEG, TOPICS, DoorRig, query

pytestmark = pytest.mark.anyio


async def test_a_valid_query_is_spooled_acknowledged_and_submitted(rig: DoorRig) -> None:
    await rig.receive(query(id="q1", client="cam", correlation="c", deadline_ms=2000))
    (request,) = await rig.submitted()
    assert (request.query.id, request.query_id, request.correlation) == ("q1", "q1", "c")
    assert (request.arrived_at, request.expires_at, request.resent) == (5.0, 7.0, False)
    assert [entry.key for entry in await rig.spool.waiting()] == [request.key]
    assert rig.acknowledged == [0]
    assert rig.connection.published == []
    assert await rig.destination(request) == (TOPICS.result("cam"), None)


async def test_an_image_with_user_properties_is_a_query(rig: DoorRig) -> None:
    await rig.receive(
        JPEG,
        user={"id": "q", "question": "What?", "bridge": "b"},
        response_topic=TOPICS.result("r"),
        correlation=b"\x01",
    )
    (request,) = await rig.submitted()
    assert (request.query.image, request.query.question) == (JPEG, "What?")
    assert await rig.destination(request) == (TOPICS.result("r"), b"\x01")


async def test_a_query_is_acknowledged_only_after_it_is_on_disk(rig: DoorRig) -> None:
    acknowledged: list[int] = []
    spooled = rig.spool.add

    async def add(entry: Any) -> Any:
        assert not acknowledged
        return await spooled(entry)

    rig.spool.add = add  # type: ignore[method-assign]
    await rig.receive(query(id="q"), ack=lambda: acknowledged.append(1))
    assert acknowledged == [1]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "bad_json"),
        (b"\x00\xff", "bad_json"),
        (b"[" * 9000, "bad_json"),
        (b"[1]", "bad_json"),
        (b"x" * 10_001, "too_large"),
        (query(question=""), "missing_question"),
        (query(image=None), "missing_image"),
        (query(image="%%"), "bad_image"),
        (query(image=None, image_url="file://["), "bad_image"),
        (query(pin="moon"), "unknown_pin"),
        (query(pin=[]), "unknown_pin"),
        (query(deadline_ms=-1), "deadline_expired"),
        (query(deadline_ms=float("nan")), "bad_field"),
        (query(deadline_ms=float("inf")), "bad_field"),
        (query(client="a/b"), "bad_field"),
        (query(id="\ud800"), "bad_field"),
        (query(client="\ud800"), "bad_field"),
        (query(correlation="\ud800"), "bad_field"),
        (query(response_topic="\ud800"), "bad_field"),
        (query(response_topic="a/#"), "bad_response_topic"),
        (query(id=True), "bad_field"),
        (query(id="x" * 129), "bad_field"),
        (query(colour="red"), "unknown_field"),
    ],
)
async def test_a_malformed_message_is_refused_once(rig: DoorRig, payload: bytes, code: str) -> None:
    await rig.receive(payload)
    assert [refusal.code for refusal in rig.refused()] == [code]
    assert rig.connection.published[0][0] == TOPICS.result()
    assert rig.acknowledged == [0]
    assert await rig.submitted() == []
    assert await rig.spool.waiting() == []
    assert await rig.spool.undelivered() == []


async def test_a_refusal_is_sent_to_the_reply_address(rig: DoorRig) -> None:
    await rig.receive(b"not JSON", response_topic=TOPICS.result("own"), correlation=b"c")
    await rig.receive(query(id="q", client="cam", correlation="m", pin="moon"))
    (first, second) = rig.connection.published
    assert (first[0], first[2]) == (TOPICS.result("own"), b"c")
    assert second[0] == TOPICS.result("cam")
    assert (rig.refused()[1].id, rig.refused()[1].correlation) == ("q", "m")


async def test_a_second_message_with_the_same_id_is_the_same_query(rig: DoorRig) -> None:
    for packet in (1, 2):
        await rig.receive(query(id="q"), packet=packet)
    await rig.receive(query(id="q"), dup=True, packet=1)
    await rig.receive(query(id="q", client="other"), packet=3)
    topics = [(await rig.destination(request))[0] for request in await rig.submitted()]
    assert topics == [TOPICS.result(), TOPICS.result("other")]
    assert len(rig.acknowledged) == 4


async def test_a_question_that_was_answered_gets_its_reply_again(rig: DoorRig) -> None:
    await rig.receive(query(id="q", correlation="first"), packet=1)
    (request,) = await rig.submitted()
    await request.reply(Refusal("q", "no_arm", "nobody", correlation="first"))
    await rig.publish()
    await rig.receive(query(id="q", correlation="first"), dup=True, packet=1)
    assert len(rig.refused()) == 1, "the same message, which its reply has answered"
    await rig.receive(query(id="q", correlation="second", deadline_ms=7), packet=2, correlation=b"2")
    first, again = rig.refused()
    assert again == replace(first, correlation="second", resent=True)
    assert rig.connection.published[-1][2] == b"2"
    assert await rig.submitted() == []


async def test_another_question_with_a_used_id_is_refused(rig: DoorRig) -> None:
    """A camera may send the same id with every picture; it must not get the answer to an earlier one."""
    await rig.receive(query(id="camera"), packet=1)
    await rig.receive(query(id="camera", question="And now?"), packet=2)
    await rig.receive(query(id="camera", pin="moon"), packet=3)
    assert [(refusal.id, refusal.code) for refusal in rig.refused()] == [("camera", "id_reused")] * 2
    assert len(await rig.submitted()) == 1
    assert len(rig.acknowledged) == 3


async def test_a_question_that_is_being_answered_is_refused_if_its_correlation_differs(rig: DoorRig) -> None:
    for number in (1, 2):
        await rig.receive(query(id="q"), packet=number, correlation=bytes([number]))
    ((topic, _, correlation),) = rig.connection.published
    assert (topic, correlation) == (TOPICS.result(), b"\x02")
    assert [refusal.code for refusal in rig.refused()] == ["id_reused"]


async def test_a_long_reply_is_not_stored_and_its_repetition_refused(rig: DoorRig) -> None:
    await rig.receive(query(id="q"), packet=1)
    (request,) = await rig.submitted()
    await request.reply(Refusal("q", "no_arm", "x" * MAX_KEPT_REPLY))
    await rig.publish()
    await rig.receive(query(id="q"), packet=2)
    assert [refusal.code for refusal in rig.refused()] == ["no_arm", "id_reused"]


async def test_without_an_id_only_a_redelivery_is_dropped(rig: DoorRig) -> None:
    await rig.receive(query(), dup=True, packet=1)
    await rig.receive(query(), packet=2)
    await rig.receive(query(), dup=True, packet=2)
    requests = await rig.submitted()
    assert len(requests) == 2
    assert len({request.key for request in requests}) == 2
    assert len(rig.acknowledged) == 3


async def test_without_an_id_a_redelivery_of_a_lost_message_is_new(rig: DoorRig) -> None:
    await rig.receive(query(), packet=1)
    await rig.receive(query(), dup=True, packet=2)
    assert len(await rig.submitted()) == 2


async def test_without_an_id_a_packet_number_may_be_used_again(rig: DoorRig) -> None:
    for _ in range(3):
        await rig.receive(query(), packet=1)
    await rig.receive(query(), dup=True, packet=1)
    assert len(await rig.submitted()) == 3


async def test_a_full_spool_is_answered_at_once(rig: DoorRig) -> None:
    for number in range(5):
        await rig.receive(query(id=f"q{number}"))
    assert len(await rig.submitted()) == 4
    assert [(refusal.id, refusal.code) for refusal in rig.refused()] == [("q4", "busy")]
    assert len(rig.acknowledged) == 5


async def test_a_failing_spool_is_answered_at_once(rig: DoorRig, tmp_path: Path) -> None:
    await rig.spool._writer.do(lambda db: db.execute("DROP TABLE query"))
    await rig.receive(query(id="q"))
    assert [refusal.code for refusal in rig.refused()] == ["spool_failed"]
    assert rig.acknowledged == [0]


async def test_a_query_refused_by_a_full_spool_stays_refused_when_redelivered(rig: DoorRig) -> None:
    for number in range(5):
        await rig.receive(query(id=f"q{number}"))
    for request in await rig.submitted():
        await request.reply(Refusal(request.query.id, "late", "too late"))
    await rig.publish()
    await rig.receive(query(id="q4"), dup=True)
    assert [refusal.id for refusal in rig.refused()] == ["q4", "q0", "q1", "q2", "q3"]
    assert await rig.submitted() == []
    assert await rig.spool.undelivered() == []
    assert len(rig.acknowledged) == 6


async def test_a_full_spool_refusal_that_a_crash_prevents_is_sent_after_the_restart(spool: Spool) -> None:
    before = DoorRig(spool)
    for number in range(5):
        await before.receive(query(id=f"q{number}"), publish=False)
    assert len(before.acknowledged) == 5, "the refusal of q4 is on disk"
    assert before.connection.published == []
    after = DoorRig(spool)
    after.outbox.resume(await spool.undelivered())
    await after.receive(query(id="q4"), dup=True)
    assert [(refusal.id, refusal.resent) for refusal in after.refused()] == [("q4", True)]


async def test_no_more_queries_are_acknowledged_while_many_refusals_are_open(
    rig: DoorRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_OPEN_REFUSALS", 3)
    expired = {"deadline_ms": 1, "asked_at": 0}
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(partial(rig.receive, query(id=f"q{number}", **expired), publish=False))
        with anyio.fail_after(60):
            while len(await rig.spool.undelivered()) < 5 or len(rig.acknowledged) < 3:  # noqa: ASYNC110
                await anyio.sleep(0.001)
        await anyio.wait_all_tasks_blocked()
        assert len(rig.acknowledged) == 3
        await rig.publish()
    assert len(rig.acknowledged) == 5


async def test_a_query_refused_by_a_full_disk_stays_refused_when_the_disk_works_again(rig: DoorRig) -> None:
    schema = await rig.spool._writer.do(
        lambda db: db.execute("SELECT sql FROM sqlite_master WHERE name = 'query'").fetchone()
    )
    await rig.spool._writer.do(lambda db: db.execute("DROP TABLE query"))
    await rig.receive(query(id="q"))
    await rig.receive(query(id="q"), dup=True)
    await rig.spool._writer.do(lambda db: db.execute(schema[0]))
    await rig.receive(query(id="q"), dup=True)
    assert [refusal.code for refusal in rig.refused()] == ["spool_failed"]
    assert await rig.submitted() == []
    assert rig.acknowledged == [0, 1, 2]


async def test_the_expiry_of_the_message_shortens_the_deadline(rig: DoorRig) -> None:
    await rig.receive(query(id="a", deadline_ms=9000), expiry_s=2)
    await rig.receive(query(id="b", deadline_ms=1000), expiry_s=2)
    assert {request.query.id: request.expires_at for request in await rig.submitted()} == {"a": 7.0, "b": 6.0}


async def test_the_time_counts_from_when_it_was_asked(rig: DoorRig) -> None:
    """The wall clock of the rig is at 1000 s, its monotonic clock at 5 s."""
    for name, asked_at in (("a", 998.0), ("b", "1970-01-01T00:16:38Z"), ("c", 2000.0), ("d", None)):
        await rig.receive(query(id=name, deadline_ms=9000, asked_at=asked_at))
    expires = {request.query.id: request.expires_at for request in await rig.submitted()}
    assert expires == {"a": 12.0, "b": 12.0, "c": 14.0, "d": 14.0}
    assert rig.refused() == []


async def test_a_query_that_expired_before_it_arrived_is_refused_and_not_stored(rig: DoorRig) -> None:
    for number in range(10):
        await rig.receive(query(id=f"q{number}", deadline_ms=9000, asked_at=990.0))
    assert {refusal.code for refusal in rig.refused()} == {"deadline_expired"}
    assert len(rig.refused()) == 10, "more than the spool has space for"
    assert "it was asked 10 s ago and had 9 s" in rig.refused()[0].message
    assert len(rig.acknowledged) == 10


async def test_the_time_for_writing_a_query_to_disk_counts_towards_its_deadline(
    rig: DoorRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, now = rig.spool.add, [5.0]

    async def add_slowly(entry: SpoolEntry) -> Added:
        now[0] += 0.7
        return await add(entry)

    monkeypatch.setattr(rig.spool, "add", add_slowly)
    monkeypatch.setattr(rig.door, "_clock", lambda: now[0])
    await rig.receive(query(id="a", deadline_ms=9000))
    (request,) = await rig.submitted()
    assert (request.arrived_at, request.expires_at) == (5.0, 14.0)


async def test_a_query_can_be_followed_in_the_log_by_its_id(
    rig: DoorRig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="agent"):
        await rig.receive(query(id="follow-me"))
        (request,) = await rig.submitted()
        await request.refuse(BadQuery("no_arm", "nobody"))
        await rig.publish()
    steps = [record.getMessage() for record in caplog.records if "follow-me" in record.getMessage()]
    assert [step.partition("follow-me")[2].partition(",")[0] for step in steps] == [
        ": received",
        ": refused: no_arm: nobody",
        " is published",
    ]


@pytest.mark.parametrize("first", [True, False])
async def test_the_error_of_a_query_that_is_too_large_finds_its_sender(rig: DoorRig, first: bool) -> None:
    """MQTT 3.1.1 has no response topic."""
    address, image = {"id": 7, "client": "cam", "correlation": 'a "b"'}, {"image": "A" * 100_000}
    await rig.receive(json.dumps({**address, **image} if first else {**image, **address}).encode())
    ((topic, _, _),) = rig.connection.published
    (refusal,) = rig.refused()
    assert (topic, refusal.id, refusal.code) == (TOPICS.result("cam"), "7", "too_large")
    assert refusal.correlation == 'a "b"'
