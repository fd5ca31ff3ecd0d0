"""With the files of docs/mosquitto/, every role publishes and receives its own topics and no others."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from agent.messages.deliveries import PublishRefused
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from protected_broker import ProtectedBroker, connected, next_message

pytestmark = [pytest.mark.anyio, pytest.mark.root]

OWN = {"inarvl/gate-3/query/{user}", "inarvl/gate-3/feedback/{user}"}
RESULTS = {"inarvl/gate-3/result/{user}", "inarvl/gate-3/result/{user}/1"}
STATE = {f"inarvl/gate-3/{name}" for name in ("status", "telemetry", "event", "mode/state")}
COMMANDS = {f"inarvl/gate-3/{name}" for name in ("query", "feedback", "mode/set")}
ANNOUNCED = "homeassistant/device/inarvl_gate-3/config"
OF_CAMERAS = {"inarvl/gate-3/camera/yard/open", "inarvl/gate-3/picture/yard"}
HOME = {ANNOUNCED, "homeassistant/device/inarvl_other/config", "homeassistant/status"}
OF_OTHERS = {
    *("inarvl/gate-3/query/camera-2", "inarvl/gate-3/query/camera-1/x", "inarvl/gate-3/feedback/camera-2"),
    *("inarvl/gate-3/result/camera-2", "inarvl/gate-3/result/camera-2/1", "inarvl/gate-3/result/camera-1x"),
    *(
        "inarvl/gate-3/result/anonymous",
        "inarvl/gate-3/decision",
        "inarvl/other/status",
        "inarvl/other/query",
    ),
    *("inarvl/peers/gpu-1", "inarvl/peers/rogue", "zigbee2mqtt/front_door/set", "inarvl/gate-3/query/"),
}
USERS = ("camera-1", "operator", "gate-3", "gpu-1", "dashboard", "homeassistant")
TOPICS = sorted(
    {topic.format(user=user) for user in USERS for topic in OWN | RESULTS}
    | STATE
    | COMMANDS
    | OF_OTHERS
    | OF_CAMERAS
    | HOME
)
OF_GATE_3 = {topic for topic in TOPICS if topic.startswith("inarvl/gate-3/")}
PEERS = {"inarvl/peers/gpu-1", "inarvl/peers/rogue"}
RESULTS_OF_ALL = {topic for topic in OF_GATE_3 if "/result/" in topic}


def of(user: str, topics: set[str]) -> set[str]:
    return {topic.format(user=user) for topic in topics}


MAY_PUBLISH = {
    "camera-1": of("camera-1", OWN),
    "operator": of("operator", OWN) | COMMANDS | {"inarvl/other/query"},
    "gate-3": OF_GATE_3 | {ANNOUNCED},
    "gpu-1": {"inarvl/peers/gpu-1"},
    "dashboard": set(),
    "homeassistant": {"homeassistant/status", "inarvl/gate-3/mode/set"},
}
MAY_RECEIVE = {
    "camera-1": of("camera-1", RESULTS),
    "operator": RESULTS_OF_ALL | STATE | PEERS | {"inarvl/gate-3/decision", "inarvl/other/status"},
    "gate-3": OF_GATE_3 | PEERS | {"homeassistant/status"},
    "gpu-1": of("gpu-1", RESULTS),
    "dashboard": STATE | of("dashboard", RESULTS) | {"inarvl/other/status"},
    "homeassistant": STATE
    | OF_CAMERAS
    | HOME
    | of("homeassistant", RESULTS)
    | {"inarvl/gate-3/decision", "inarvl/other/status"},
}


async def received_until(connection: MqttConnection, last: str) -> set[str]:
    """The topics of all messages before that on `last`."""
    topics: set[str] = set()
    with anyio.fail_after(60):
        async for message in connection.messages():
            message.ack()
            if message.topic == last:
                return topics
            topics.add(message.topic)
    raise AssertionError("unreachable")


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("retain", [False, True])
async def test_a_role_publishes_to_its_topics_only(
    protected: ProtectedBroker, user: str, retain: bool
) -> None:
    arrived: set[str] = set()
    async with (
        connected(protected, "tester", "#") as tester,
        connected(protected, user) as connection,
    ):
        for topic in TOPICS:
            with suppress(PublishRefused):
                await connection.publish(topic, b"x", qos=1, retain=retain)
        await tester.publish("end", b"x", qos=1)
        arrived = await received_until(tester, "end")
        for topic in TOPICS:
            await tester.publish(topic, b"", qos=1, retain=True)
    assert arrived == MAY_PUBLISH[user]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "filters",
    [("#",), ("inarvl/#", "inarvl/+/+", "+/+/+/+", "+/status"), ("$share/g/#",), tuple(TOPICS)],
    ids=str,
)
@pytest.mark.parametrize("retain", [False, True])
async def test_a_role_receives_its_topics_only(
    protected: ProtectedBroker, user: str, filters: tuple[str, ...], retain: bool
) -> None:
    """mosquitto grants every subscription, and checks each message that it delivers."""
    if retain and filters[0].startswith("$share"):
        return  # a shared subscription gets no retained messages
    async with connected(protected, "tester") as tester:
        try:
            if retain:
                for topic in TOPICS:
                    await tester.publish(topic, b"x", qos=1, retain=True)
            end = f"inarvl/gate-3/result/{user}/end"
            async with connected(
                protected, user, *filters, *([end] if "#" not in filters[0] else [])
            ) as client:
                if not retain:
                    for topic in TOPICS:
                        await tester.publish(topic, b"x", qos=1)
                await tester.publish(end, b"x", qos=1)
                received = await received_until(client, end)
        finally:
            for topic in TOPICS:
                await tester.publish(topic, b"", qos=1, retain=True)
    assert received == MAY_RECEIVE[user]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_camera_asks_and_gets_its_own_answer(protected: ProtectedBroker, protocol: str) -> None:
    async with (
        connected(protected, "gate-3", *Topics("gate-3").received()) as agent,
        connected(protected, "camera-1", "inarvl/gate-3/result/camera-1", protocol=protocol) as camera,
        connected(protected, "camera-2", "inarvl/gate-3/result/camera-1", "inarvl/gate-3/query/#") as other,
    ):
        await camera.publish("inarvl/gate-3/query/camera-1", b"image", qos=1)
        assert (await next_message(agent)).topic == "inarvl/gate-3/query/camera-1"
        await agent.publish("inarvl/gate-3/result/camera-1", b"answer", qos=1)
        assert (await next_message(camera)).payload == b"answer"
        await agent.publish("inarvl/gate-3/result/camera-2", b"end", qos=1)
        assert other._received.empty()


async def test_without_a_password_there_is_no_connection(protected: ProtectedBroker) -> None:
    for user, password in ((None, None), ("camera-1", "wrong"), ("nobody", "x")):
        options = MqttOptions("127.0.0.1", protected.port, username=user, password=password)
        async with MqttConnection(options) as connection:
            with anyio.fail_after(60):
                await connection.tried.wait()
            assert connection.problem is not None
            assert "ot authorized" in connection.problem or "password" in connection.problem
