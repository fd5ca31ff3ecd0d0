"""No client answers, blocks or reads what another one asks, and replies go only where the site allows."""

from __future__ import annotations

from typing import Any

import pytest

from agent.messages.reply import Refusal
from agent.spool.spool import Spool
from door_rig import TOPICS, DoorRig, query

pytestmark = pytest.mark.anyio
CAMERA, ROGUE = TOPICS.query_of("camera"), TOPICS.query_of("rogue")


async def replied_topics(rig: DoorRig) -> set[str]:
    for request in await rig.submitted():
        await request.reply(Refusal(request.query_id, "code", "message"))
    await rig.publish()
    return {topic for topic, _, _ in rig.connection.published}


async def test_the_topic_names_the_client_whatever_the_payload_says(rig: DoorRig) -> None:
    await rig.receive(query(id="q", client="rogue"), topic=CAMERA)
    (request,) = await rig.submitted()
    assert (request.query.client, request.verified) == ("camera", True)
    assert (await rig.destination(request))[0] == TOPICS.result("camera")


async def test_on_the_open_topic_the_name_is_a_claim(rig: DoorRig) -> None:
    await rig.receive(query(id="q", client="camera"))
    (request,) = await rig.submitted()
    assert (request.query.client, request.verified) == ("camera", False)


async def test_who_asks_is_known_after_a_restart_too(spool: Spool) -> None:
    before = DoorRig(spool)
    await before.receive(query(id="own", client="rogue"), topic=CAMERA)
    await before.receive(query(id="claimed", client="camera"))
    after = DoorRig(spool)
    await after.door.resume(await spool.waiting())
    found = {r.query.id: (r.query.client, r.verified, r.party) for r in await after.submitted()}
    assert found == {"own": ("camera", True, "client camera"), "claimed": ("camera", False, "claims")}


async def test_the_same_id_of_several_clients_is_answered_to_each(rig: DoorRig) -> None:
    """Nobody answers or blocks the id of another client first, with the same reply topic or with none."""
    await rig.receive(query(id="7", question="rogue?", client="camera"))
    await rig.receive(query(id="7", question="rogue?"), topic=ROGUE)
    await rig.receive(query(id="7", client="camera"), topic=CAMERA)
    assert len(await rig.submitted()) == 3
    assert rig.refused() == []


async def test_a_repeated_id_never_gets_the_reply_to_another_client(rig: DoorRig) -> None:
    await rig.receive(query(id="7"), topic=CAMERA, correlation=b"c")
    (request,) = await rig.submitted()
    assert await rig.destination(request) == (TOPICS.result("camera"), b"c")
    rig.connection.published.clear()
    await rig.receive(query(id="7"), topic=ROGUE, correlation=b"c")
    await rig.receive(query(id="7", client="camera"), correlation=b"c", response_topic=TOPICS.result("x"))
    assert len(await rig.submitted()) == 2, "both are new questions"
    assert rig.connection.published == []


async def test_without_an_id_the_same_message_of_another_client_is_new(rig: DoorRig) -> None:
    for topic in (CAMERA, ROGUE, TOPICS.query):
        await rig.receive(query(), topic=topic, dup=True, packet=1)
    assert len(await rig.submitted()) == 3


NOT_BELOW_OWN = [
    *("zigbee2mqtt/front_door/set", "inarvl/d/result", "inarvl/d/result/", "inarvl/d/result//x", "/"),
    *("inarvl/d/resultx/camera", "inarvl/other/result/camera", "inarvl/d/query", "inarvl/d/mode/set"),
    *(
        "inarvl/d/feedback",
        "inarvl/peers/x",
        "inarvl/d/result/camera/#",
        "inarvl/d/result/camera/+",
        "$SYS/x",
    ),
    *("inarvl/d/result/camera/", "inarvl/d/result/camera//x", "$share/g/inarvl/d/result/camera", "", "a\nb"),
    *("INARVL/d/result/camera", "inarvl/d/result/camera/\x07", "/inarvl/d/result/camera"),
]


@pytest.mark.parametrize("named", [*NOT_BELOW_OWN, "inarvl/d/result/rogue", "inarvl/d/result/camerax"])
@pytest.mark.parametrize("by_field", [False, True])
async def test_a_client_cannot_send_its_answer_to_another_topic(
    rig: DoorRig, named: str, by_field: bool
) -> None:
    """The error goes to its own topic for results."""
    given: dict[str, Any] = {"response_topic": named}
    body, message = (given, {}) if by_field else ({}, given)
    await rig.receive(query(id="q", **body), topic=CAMERA, **message)
    assert await rig.submitted() == []
    assert {topic for topic, _, _ in rig.connection.published} == {TOPICS.result("camera")}
    (refusal,) = rig.refused()
    assert refusal.code in ("bad_response_topic", "bad_field" if by_field else "bad_response_topic")


@pytest.mark.parametrize("named", NOT_BELOW_OWN)
async def test_a_query_on_the_open_topic_names_topics_for_results_only(rig: DoorRig, named: str) -> None:
    await rig.receive(query(id="q", client="me"), response_topic=named)
    assert await replied_topics(rig) <= {TOPICS.result("me"), "inarvl/d/result/camera"}
    assert [refusal.code for refusal in rig.refused()] == ["bad_response_topic"]


async def test_below_its_own_topic_a_client_may_choose(rig: DoorRig) -> None:
    for number, topic in enumerate((TOPICS.result("camera"), TOPICS.result("camera/a/b"))):
        await rig.receive(query(id=f"{number}"), topic=CAMERA, response_topic=topic)
    assert await replied_topics(rig) == {TOPICS.result("camera"), TOPICS.result("camera/a/b")}


async def test_the_site_file_allows_more_topics_by_whole_levels(spool: Spool) -> None:
    rig = DoorRig(spool, allow=("home/answers",))
    for number, topic in enumerate(("home/answers", "home/answers/x", "home/answersx", "home")):
        await rig.receive(query(id=f"{number}"), topic=CAMERA, response_topic=topic)
    assert {request.query.id for request in await rig.submitted()} == {"0", "1"}
    assert ["replies.allow" in refusal.message for refusal in rig.refused()] == [True, True]


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb"])
async def test_an_invalid_name_in_the_topic_is_refused(rig: DoorRig, name: str) -> None:
    await rig.receive(query(id="q"), topic=TOPICS.query_of(name))
    assert await rig.submitted() == []
    assert [refusal.code for refusal in rig.refused()] == ["bad_field"]


async def test_a_client_that_asks_too_often_is_busy_and_others_are_not(spool: Spool) -> None:
    rig = DoorRig(spool, clients={"*": {"per_minute": 60, "burst": 2}, "vip": {"per_minute": 6000}})
    for number in range(4):
        await rig.receive(query(id=f"{number}"), topic=ROGUE)
    await rig.receive(query(id="0"), topic=CAMERA)
    assert [(refusal.id, refusal.code) for refusal in rig.refused()] == [("2", "busy"), ("3", "busy")]
    assert "60 times a minute" in rig.refused()[0].message
    assert len(await rig.submitted()) == 3


async def test_a_question_repeated_too_often_gets_its_reply_again(spool: Spool) -> None:
    rig = DoorRig(spool, clients={"*": {"per_minute": 1, "burst": 1}})
    await rig.receive(query(id="7"), topic=CAMERA)
    (request,) = await rig.submitted()
    await rig.destination(request)
    await rig.receive(query(id="7"), topic=CAMERA)
    assert [(refusal.code, refusal.resent) for refusal in rig.refused()] == [("code", False), ("code", True)]


async def test_a_claimed_name_gets_no_more_than_everybody(spool: Spool) -> None:
    site: dict[str, Any] = {"*": {"max_priority": 3}, "vip": {"max_priority": 8}, "low": {"max_priority": 1}}
    rig = DoorRig(spool, clients=site)
    for name, topic in (
        ("vip", TOPICS.query_of("vip")),
        ("vip", TOPICS.query),
        ("low", TOPICS.query),
        ("other", TOPICS.query_of("other")),
    ):
        await rig.receive(query(client=name, priority=9), topic=topic, packet=len(rig.acknowledged))
    found = {(r.query.client, r.verified): r.query.priority for r in await rig.submitted()}
    assert found == {("vip", True): 8, ("vip", False): 3, ("low", False): 1, ("other", True): 3}


async def test_a_query_that_the_queue_would_refuse_is_answered_and_not_stored(rig: DoorRig) -> None:
    for _ in range(30):
        rig.queue.service_time.observe(100.0)
    rig.queue.idle = 0
    await rig.receive(query(id="late", deadline_ms=1000), topic=CAMERA, packet=1)
    await rig.receive(query(id="late", deadline_ms=1000), topic=CAMERA, packet=1, dup=True)
    assert [(refusal.id, refusal.code) for refusal in rig.refused()] == [("late", "busy")]
    assert rig.acknowledged == [0, 1]
    assert await rig.spool.earlier(f"client camera\ncamera\n{TOPICS.result('camera')}\nlate") is None


async def test_while_the_queue_is_too_long_a_known_id_is_the_same_query(rig: DoorRig) -> None:
    await rig.receive(query(id="7"), topic=CAMERA)
    for _ in range(30):
        rig.queue.service_time.observe(100.0)
    rig.queue.idle = 0
    await rig.receive(query(id="7", deadline_ms=1000), topic=CAMERA)
    assert rig.refused() == []
    assert len(await rig.submitted()) == 1


async def test_messages_without_an_id_are_each_refused(rig: DoorRig) -> None:
    for _ in range(30):
        rig.queue.service_time.observe(100.0)
    rig.queue.idle = 0
    for _ in range(3):
        await rig.receive(query(deadline_ms=1000), topic=CAMERA)
    assert [refusal.code for refusal in rig.refused()] == ["busy"] * 3
