"""Every message is answered or handed on once, and acknowledged only when the spool has it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.intake.intake import Intake, IntakeLimits
from agent.intake.job import Job
from agent.intake.outbox import Outbox
from agent.intake.queue import RequestQueue
from agent.intake.uptime import Uptime
from agent.messages.mqtt import Message
from agent.messages.reply import Refusal, reply_from_bytes
from agent.messages.topics import Topics
from agent.spool.spool import Added, Spool, SpoolEntry

pytestmark = pytest.mark.anyio

TOPICS = Topics("d")
JPEG = b"\xff\xd8\xff\xe0 not decoded here"


class RecordingLink:
    """Stands in for the MQTT link: takes every message, and keeps it."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, bytes | None]] = []

    async def publish(
        self, topic: str, payload: bytes, *, qos: int, correlation: bytes | None = None
    ) -> None:
        assert qos == 1
        self.published.append((topic, payload, correlation))


class Bench:
    """An intake with a real spool and everything that comes out of it."""

    def __init__(self, spool: Spool, now_s: float = 1000.0, uptime: Uptime | None = None) -> None:
        self.spool = spool
        self.acknowledged: list[int] = []
        self.link = RecordingLink()
        self.outbox = Outbox(spool, self.link)  # type: ignore[arg-type]
        self.waiting = RequestQueue(64, workers=8, clock=lambda: 5.0)
        limits = IntakeLimits(max_payload_bytes=10_000, default_deadline_ms=30_000)
        self.intake = Intake(
            TOPICS,
            spool,
            self.outbox,
            self.waiting,
            limits,
            clock=lambda: 5.0,
            wall_clock=lambda: now_s,
            uptime=lambda: uptime,
        )

    async def accept(self, payload: bytes, **changes: Any) -> None:
        number = len(self.acknowledged)
        fields: dict[str, Any] = {
            "topic": TOPICS.query,
            "payload": payload,
            "retain": False,
            "dup": False,
            "response_topic": None,
            "correlation": None,
            "user": {},
            "expiry_s": None,
            "ack": lambda: self.acknowledged.append(number),
        }
        await self.intake.accept(Message(**{**fields, **changes}))
        await self.publish()

    async def publish(self) -> None:
        """Let the outbox publish what it has."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.outbox.run)
            await self.outbox.emptied()
            tasks.cancel_scope.cancel()

    async def handed_on(self) -> list[Job]:
        return [job for _ in range(len(self.waiting)) if (job := await self.waiting.take())]

    def refused(self) -> list[Refusal]:
        replies = [reply_from_bytes(payload) for _, payload, _ in self.link.published]
        return [reply for reply in replies if isinstance(reply, Refusal)]


def query(**fields: Any) -> bytes:
    image = base64.b64encode(JPEG).decode()
    return json.dumps({"question": "How many?", "image": image, **fields}).encode()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool.db", max_waiting=4)
    yield opened
    await opened.close()


@pytest.fixture
def bench(spool: Spool) -> Bench:
    return Bench(spool)


async def test_a_sound_query_is_spooled_acknowledged_and_handed_on(bench: Bench) -> None:
    await bench.accept(query(id="q1", client="cam", correlation="c", deadline_ms=2000))
    (job,) = await bench.handed_on()
    assert (job.query.id, job.address.topic, job.address.mirror) == ("q1", TOPICS.result("cam"), "c")
    assert (job.arrived_at, job.expires_at, job.resent) == (5.0, 7.0, False)
    assert [entry.key for entry in await bench.spool.waiting()] == [job.key]
    assert bench.acknowledged == [0]
    assert bench.link.published == []


async def test_an_image_with_user_properties_is_a_query(bench: Bench) -> None:
    await bench.accept(
        JPEG, user={"id": "q", "question": "What?", "bridge": "b"}, response_topic="r", correlation=b"\x01"
    )
    (job,) = await bench.handed_on()
    assert (job.query.image, job.query.question) == (JPEG, "What?")
    assert (job.address.topic, job.address.correlation) == ("r", b"\x01")


async def test_the_broker_is_told_only_after_the_disk(bench: Bench) -> None:
    waiting_at_ack: list[int] = []
    spooled = bench.spool.add

    async def add(entry: Any) -> Any:
        assert not waiting_at_ack
        return await spooled(entry)

    bench.spool.add = add  # type: ignore[method-assign]
    await bench.accept(query(id="q"), ack=lambda: waiting_at_ack.append(1))
    assert waiting_at_ack == [1]


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
        (query(id=7), "bad_field"),
        (query(id="x" * 129), "bad_field"),
        (query(colour="red"), "unknown_field"),
    ],
)
async def test_a_malformed_message_is_refused_once(bench: Bench, payload: bytes, code: str) -> None:
    await bench.accept(payload)
    assert [refusal.code for refusal in bench.refused()] == [code]
    assert bench.link.published[0][0] == TOPICS.result()
    assert bench.acknowledged == [0]
    assert await bench.handed_on() == []
    assert await bench.spool.waiting() == []
    assert await bench.spool.undelivered() == []


async def test_a_refusal_goes_where_the_answer_would_have_gone(bench: Bench) -> None:
    await bench.accept(b"no json", response_topic="mine", correlation=b"c")
    await bench.accept(query(id="q", client="cam", correlation="m", pin="moon"))
    (first, second) = bench.link.published
    assert (first[0], first[2]) == ("mine", b"c")
    assert second[0] == TOPICS.result("cam")
    assert (bench.refused()[1].id, bench.refused()[1].correlation) == ("q", "m")


async def test_a_second_message_with_the_same_id_is_dropped(bench: Bench) -> None:
    for _ in range(2):
        await bench.accept(query(id="q"))
    await bench.accept(query(id="q"), dup=True)
    await bench.accept(query(id="q", client="other"))
    assert [job.address.topic for job in await bench.handed_on()] == [TOPICS.result(), TOPICS.result("other")]
    assert len(bench.acknowledged) == 4


async def test_without_an_id_only_what_the_broker_repeats_is_dropped(bench: Bench) -> None:
    await bench.accept(query(), dup=True, packet=1)
    await bench.accept(query(), packet=2)
    await bench.accept(query(), dup=True, packet=2)
    jobs = await bench.handed_on()
    assert len(jobs) == 2
    assert len({job.key for job in jobs}) == 2
    assert len(bench.acknowledged) == 3


async def test_without_an_id_the_same_again_is_new_though_its_first_sending_was_in_vain(bench: Bench) -> None:
    await bench.accept(query(), packet=1)
    await bench.accept(query(), dup=True, packet=2)
    assert len(await bench.handed_on()) == 2


async def test_without_an_id_a_packet_number_comes_round_again(bench: Bench) -> None:
    for _ in range(3):
        await bench.accept(query(), packet=1)
    await bench.accept(query(), dup=True, packet=1)
    assert len(await bench.handed_on()) == 3


async def test_a_full_spool_is_told_at_once(bench: Bench) -> None:
    for number in range(5):
        await bench.accept(query(id=f"q{number}"))
    assert len(await bench.handed_on()) == 4
    assert [(refusal.id, refusal.code) for refusal in bench.refused()] == [("q4", "busy")]
    assert len(bench.acknowledged) == 5


async def test_a_failing_spool_is_told_at_once(bench: Bench, tmp_path: Path) -> None:
    await bench.spool._writer.do(lambda db: db.execute("DROP TABLE query"))
    await bench.accept(query(id="q"))
    assert [refusal.code for refusal in bench.refused()] == ["spool_failed"]
    assert bench.acknowledged == [0]


async def test_a_query_refused_for_want_of_room_stays_refused_when_the_broker_repeats_it(
    bench: Bench,
) -> None:
    for number in range(5):
        await bench.accept(query(id=f"q{number}"))
    for job in await bench.handed_on():
        await bench.outbox.send(job.key, job.address, Refusal(job.query.id, "late", "too late"))
    await bench.publish()
    await bench.accept(query(id="q4"), dup=True)
    assert [refusal.id for refusal in bench.refused()] == ["q4", "q0", "q1", "q2", "q3"]
    assert await bench.handed_on() == []
    assert await bench.spool.undelivered() == []
    assert len(bench.acknowledged) == 6


async def test_a_refusal_for_want_of_room_that_a_crash_cut_off_is_made_up_for(spool: Spool) -> None:
    before = Bench(spool)
    for number in range(4):
        await before.accept(query(id=f"q{number}"))

    async def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before.link.publish = crash  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        await before.accept(query(id="q4"))
    assert len(before.acknowledged) == 4, "the broker has it, and will send it again"
    after = Bench(spool)
    after.outbox.resume(await spool.undelivered())
    await after.accept(query(id="q4"), dup=True)
    assert [(refusal.id, refusal.resent) for refusal in after.refused()] == [("q4", True)]


async def test_a_query_that_a_full_disk_refused_stays_refused_when_there_is_room_again(bench: Bench) -> None:
    kept = await bench.spool._writer.do(
        lambda db: db.execute("SELECT sql FROM sqlite_master WHERE name = 'query'").fetchone()
    )
    await bench.spool._writer.do(lambda db: db.execute("DROP TABLE query"))
    await bench.accept(query(id="q"))
    await bench.accept(query(id="q"), dup=True)
    await bench.spool._writer.do(lambda db: db.execute(kept[0]))
    await bench.accept(query(id="q"), dup=True)
    assert [refusal.code for refusal in bench.refused()] == ["spool_failed"]
    assert await bench.handed_on() == []
    assert bench.acknowledged == [0, 1, 2]


async def test_the_expiry_of_the_message_shortens_the_deadline(bench: Bench) -> None:
    await bench.accept(query(id="a", deadline_ms=9000), expiry_s=2)
    await bench.accept(query(id="b", deadline_ms=1000), expiry_s=2)
    assert {job.query.id: job.expires_at for job in await bench.handed_on()} == {"a": 7.0, "b": 6.0}


async def test_the_time_of_a_query_runs_while_the_disk_takes_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, now = bench.spool.add, [5.0]

    async def add_slowly(entry: SpoolEntry) -> Added:
        now[0] += 0.7
        return await add(entry)

    monkeypatch.setattr(bench.spool, "add", add_slowly)
    monkeypatch.setattr(bench.intake, "_clock", lambda: now[0])
    await bench.accept(query(id="a", deadline_ms=9000))
    (job,) = await bench.handed_on()
    assert (job.arrived_at, job.expires_at) == (5.0, 14.0)


async def test_what_was_left_unanswered_is_handed_on_after_a_restart(spool: Spool) -> None:
    before = Bench(spool)
    await before.accept(query(id="q", correlation="m"), correlation=b"c")
    await before.accept(JPEG, user={"question": "What?"})
    after = Bench(spool, now_s=1010.0)
    left = await spool.waiting()
    await after.intake.resume(left)
    assert not left, "its images are not kept for the length of the run"
    await after.publish()
    first, second = sorted(await after.handed_on(), key=lambda job: job.query.question)
    assert (first.address.query_id, first.address.mirror, first.address.correlation) == ("q", "m", b"c")
    assert (second.query.question, second.query.image) == ("What?", JPEG)
    assert all(job.resent and job.expires_at == 25.0 for job in (first, second))
    assert {job.key for job in (first, second)} == {job.key for job in await before.handed_on()}


@pytest.mark.parametrize("jump_s", [-3600.0, 0.0, 3600.0])
async def test_a_clock_set_while_the_agent_was_away_costs_no_query_its_time(
    spool: Spool, jump_s: float
) -> None:
    await Bench(spool, uptime=Uptime("boot", 50_000)).accept(query(id="q"))
    after = Bench(spool, now_s=1010.0 + jump_s, uptime=Uptime("boot", 60_000))
    await after.intake.resume(await spool.waiting())
    (job,) = await after.handed_on()
    assert job.expires_at == 25.0


@pytest.mark.parametrize(("now_s", "left_s"), [(1010.0, 20.0), (900.0, 30.0)])
async def test_over_a_reboot_the_wall_clock_tells_but_never_gives_more_time(
    spool: Spool, now_s: float, left_s: float
) -> None:
    await Bench(spool, uptime=Uptime("boot", 50_000)).accept(query(id="q"))
    after = Bench(spool, now_s=now_s, uptime=Uptime("another boot", 60_000))
    await after.intake.resume(await spool.waiting())
    (job,) = await after.handed_on()
    assert job.expires_at == 5.0 + left_s


async def test_a_refusal_that_a_crash_cut_off_is_made_up_for(spool: Spool) -> None:
    before = Bench(spool)

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    before.outbox.send = crash  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        await before.accept(query(id="q", pin="moon"))
    assert before.acknowledged == [0]
    after = Bench(spool)
    await after.intake.resume(await spool.waiting())
    await after.publish()
    (refusal,) = after.refused()
    assert (refusal.id, refusal.code, refusal.resent) == ("q", "unknown_pin", True)
    assert await spool.waiting() == []


async def test_a_query_has_one_reply_and_an_undelivered_one_goes_out_again(bench: Bench) -> None:
    await bench.accept(query(id="q"))
    (job,) = await bench.handed_on()
    await bench.spool.answer(job.key, b"kept before a crash")
    await bench.outbox.send(job.key, job.address, Refusal("q", "late", "too late"))
    assert bench.link.published == []
    bench.outbox.resume(await bench.spool.undelivered())
    await bench.publish()
    bench.outbox.resume(await bench.spool.undelivered())
    await bench.publish()
    assert bench.link.published == [(TOPICS.result(), b"kept before a crash", None)]
