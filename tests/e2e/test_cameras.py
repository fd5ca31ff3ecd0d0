"""The agent watches cameras by itself: broker and agent are real, the model is scripted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio import to_thread
from camera_site import CameraSite, camera_site, picture
from typer.testing import CliRunner

from agent.cli.main import app
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from product import Product, running_product

pytestmark = pytest.mark.anyio
SNAPSHOT = "frigate/door/person/snapshot"
DOOR = {
    "source": "mqtt:frigate/door/+/snapshot",
    "questions": {"visitor": {"text": "Is a person there?", "answer": "yes_no", "retain": True}},
}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("cameras"), models=()) as running:
        yield running


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def running(agent: Product) -> AsyncIterator[CameraSite]:
    async with camera_site(agent) as site:
        yield site


@pytest.fixture
async def site(running: CameraSite) -> CameraSite:
    """The site without a camera."""
    await running.watch({})
    running.forget()
    return running


def folder(site: CameraSite, name: str) -> Path:
    return site.product.folder / "images" / name


def camera_in(path: Path, **question: object) -> dict[str, object]:
    return {
        "source": {"url": f"file:{path}", "poll_s": 0.1},
        "questions": {"q": {"text": "Is it open?", **question}},
    }


async def test_a_reload_adds_and_removes_a_camera_whose_question_is_answered_on_its_topic(
    site: CameraSite,
) -> None:
    await site.watch({"door": DOOR})
    topic = site.topic("door", "visitor")
    await site.publish_until(SNAPSHOT, 1, lambda: topic in site.answers)
    answer = site.answers[topic][0]
    assert (answer["answer"], answer["value"], answer["tier"]) == ("yes", True, "local")
    assert (answer["camera"], answer["question"]) == ("door", "visitor")
    assert {"id", "decision_id", "latency_ms", "taken_at"} <= answer.keys()

    late = MqttConnection(MqttOptions("127.0.0.1", site.product.port, "late"), subscriptions=(topic,))
    async with late:
        async for message in late.messages():
            assert message.retain
            assert json.loads(message.payload)["value"] is True
            break

    await site.watch({})
    asked = len(site.seen)
    await site.publish(SNAPSHOT, 2, 3)
    await site.watch({"other": camera_in(folder(site, "none"), when={"every_s": 1})})
    assert len(site.seen) == asked


async def test_while_a_question_is_under_way_the_newest_picture_wins(site: CameraSite) -> None:
    await site.watch({"door": DOOR})
    await site.publish_until(SNAPSHOT, 1, lambda: site.seen)
    await site.publish(SNAPSHOT, 2)
    await site.until(lambda: site.seen[-1] == (2,) and site.cameras["door"]["answered"] == len(site.seen))
    before = site.cameras["door"]
    site.open = type(site.open)()
    await site.publish(SNAPSHOT, 10)
    await site.until(lambda: site.cameras["door"]["asked"] > before["asked"])
    await site.publish(SNAPSHOT, 11, 12, 13, 14)
    await site.until(lambda: site.cameras["door"]["pictures"] == before["pictures"] + 5)
    site.open.set()
    await site.until(lambda: site.cameras["door"]["answered"] == before["answered"] + 2)
    assert site.seen[-2:] == [(10,), (14,)]
    assert site.cameras["door"]["dropped"] == before["dropped"] + 3


async def test_an_unchanged_picture_is_asked_about_once(site: CameraSite) -> None:
    door = {**DOOR, "questions": {"changed": {"text": "What changed?", "when": {"on_change": True}}}}
    await site.watch({"door": door})
    await site.publish_until(SNAPSHOT, 1, lambda: site.seen)
    await site.until(lambda: site.cameras["door"]["answered"] == 1)
    for _ in range(3):
        pictures = site.cameras["door"]["pictures"]
        await site.publish(SNAPSHOT, 1)
        await site.until(lambda pictures=pictures: site.cameras["door"]["pictures"] > pictures)
    await site.publish(SNAPSHOT, 2)
    await site.until(lambda: site.cameras["door"]["answered"] == 2)
    assert site.seen == [(1,), (2,)]


async def test_a_broken_camera_is_reported_once_and_stops_no_other(site: CameraSite) -> None:
    good, missing = folder(site, "good"), folder(site, "missing")
    good.mkdir(parents=True)
    (good / "1.jpg").write_bytes(picture(1))
    await site.watch(
        {
            "good": camera_in(good, when={"every_s": 0.1}),
            "missing": camera_in(missing, when={"every_s": 0.1}),
            "text": {**DOOR, "source": "mqtt:words/snapshot"},
        }
    )
    await site.until(lambda: site.events)
    await site.publish_until("words/snapshot", 1, lambda: site.cameras["text"]["answered"])
    await site.connection.publish("words/snapshot", b"not a picture", qos=1)
    await site.until(lambda: site.cameras["text"]["failing"])
    for number in (2, 3):
        (good / f"{number}.jpg").write_bytes(picture(number))
        await site.until(lambda number=number: (number,) in site.seen)
    failed = [event for event in site.events if event["camera"] == "missing"]
    assert [(event["state"], "create it" in event["message"]) for event in failed] == [("failed", True)]
    assert not site.cameras["good"]["failing"]

    missing.mkdir()
    (missing / "4.jpg").write_bytes(picture(4))
    await site.until(lambda: {"missing", "recovered"} <= set(site.events[-1].values()))
    await site.until(lambda: (4,) in site.seen)
    states = [(event["camera"], event["state"]) for event in site.events]
    assert states.count(("missing", "failed")) == states.count(("missing", "recovered")) == 1
    assert ("text", "failed") in states
    assert [camera for camera, _ in states].count("good") == 0
    status = ["status", "--config", str(site.product.config)]
    run = await to_thread.run_sync(lambda: CliRunner().invoke(app, status, env={"COLUMNS": "200"}))
    assert "missing" in run.output
    assert "cannot be decoded" in run.output


async def test_a_question_about_before_and_after_gets_both_pictures(site: CameraSite) -> None:
    path = folder(site, "pair")
    path.mkdir(parents=True)
    (path / "1.jpg").write_bytes(picture(1))
    await site.watch({"pair": camera_in(path, before=True, when={"on_change": True})})
    await site.until(lambda: site.cameras["pair"]["pictures"] == 1)
    for number in (2, 3):
        (path / f"{number}.jpg").write_bytes(picture(number))
        await site.until(lambda number=number: site.seen and site.seen[-1][-1] == number)
        await site.until(lambda number=number: site.cameras["pair"]["answered"] == number - 1)
    assert site.seen == [(1, 2), (2, 3)]
    assert site.answers[site.topic("pair", "q")][0]["before_at"] > 0


async def test_a_trigger_asks_about_a_new_picture_and_only_its_own_question(site: CameraSite) -> None:
    path = folder(site, "bell")
    path.mkdir(parents=True)
    (path / "1.jpg").write_bytes(picture(1))
    camera = camera_in(path, when={"trigger": "door/bell"})
    camera["questions"] |= {"other": {"text": "Is it dark?", "when": {"trigger": "door/lamp"}}}  # type: ignore[operator]
    await site.watch({"bell": camera})
    topic = site.topic("bell", "q")
    await site.publish_until("door/bell", 7, lambda: topic in site.answers)
    (path / "2.jpg").write_bytes(picture(2))
    await site.publish("door/bell", 7)
    await site.until(lambda: (2,) in site.seen)
    assert set(site.answers) == {topic}


async def test_the_policy_of_the_camera_holds_for_its_questions(site: CameraSite) -> None:
    path = folder(site, "private")
    path.mkdir(parents=True)
    (path / "1.jpg").write_bytes(picture(1))
    camera = camera_in(path, pin="cloud", retain=True, when={"every_s": 60}) | {"local_only": True}
    await site.watch({"private": camera})
    topic = site.topic("private", "q")
    await site.until(lambda: topic in site.answers)
    assert site.answers[topic][0]["error"]["code"] == "local_only"
    await site.until(lambda: site.cameras["private"]["error"])
    assert "local_only" in site.cameras["private"]["error"]
    assert site.seen == []
