"""The connection against a real broker: properties, acknowledgements, reconnects and the last will."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.messages.bounded_client import MAX_PROPERTIES
from agent.messages.deliveries import DisconnectedTwice
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.packet_limit import PacketTooLarge
from agent.messages.reconnect_pause import STAND_BACK_S
from agent.standalone.broker import DYNAMIC_SECURITY, Mosquitto, denying, free_port

pytestmark = pytest.mark.anyio

TIMEOUT_S = 60
CLIENT_WITH_WILL = """
import anyio, sys
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions, Will

async def main():
    options = MqttOptions("127.0.0.1", int(sys.argv[1]), "dying")
    async with MqttConnection(options, will=Will("w", b"gone")) as connection:
        await connection.connected.wait()
        print("up", flush=True)
        if sys.argv[2] == "kill":
            await anyio.sleep_forever()

anyio.run(main)
"""


def connect(broker: Any, client_id: str, *subscriptions: str, **options: Any) -> MqttConnection:
    return MqttConnection(
        MqttOptions("127.0.0.1", broker.port, client_id, **options), subscriptions=subscriptions
    )


async def first(connection: MqttConnection) -> Message:
    with anyio.fail_after(TIMEOUT_S):
        async for message in connection.messages():
            return message
    raise AssertionError("the connection ended")


async def test_mqtt5_properties_arrive_unchanged(broker: Any) -> None:
    async with connect(broker, "a", "t") as connection:
        await connection.publish(
            "t", b"\x00\xff", qos=1, response_topic="r", correlation=b"\x01", user={"k": "v"}
        )
        message = await first(connection)
        message.ack()
    assert (message.topic, message.payload) == ("t", b"\x00\xff")
    assert (message.response_topic, message.correlation, message.user) == ("r", b"\x01", {"k": "v"})


async def test_mqtt_3_1_1_has_no_properties(broker: Any) -> None:
    async with connect(broker, "a", "t", protocol="3.1.1") as connection:
        await connection.publish("t", b"x", qos=1, response_topic="r", user={"k": "v"})
        message = await first(connection)
        message.ack()
    assert (message.payload, message.response_topic, message.user) == (b"x", None, {})


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_only_unacknowledged_messages_are_delivered_again(broker: Any, protocol: str) -> None:
    async with connect(broker, "a", "t", protocol=protocol) as connection:
        await connection.publish("t", b"acknowledged", qos=1)
        (await first(connection)).ack()
        await connection.publish("t", b"unacknowledged", qos=1)
        before = await first(connection)
        assert (before.payload, before.dup) == (b"unacknowledged", False)
    async with connect(broker, "a", "t", protocol=protocol) as connection:
        again = await first(connection)
        again.ack()
    assert (again.payload, again.dup, again.packet) == (b"unacknowledged", True, before.packet)


async def test_a_publish_waits_until_the_broker_is_back(broker: Any) -> None:
    async with connect(broker, "a") as connection:
        await asyncio.wait_for(connection.connected.wait(), TIMEOUT_S)
        broker.kill()
        publishing = asyncio.create_task(connection.publish("t", b"late", qos=1, retain=True))
        await anyio.wait_all_tasks_blocked()
        assert not publishing.done()
        broker.start()
        await asyncio.wait_for(publishing, TIMEOUT_S)
    async with connect(broker, "b", "t") as other:
        assert (await first(other)).payload == b"late"


@pytest.mark.parametrize(("end", "expected"), [("kill", b"gone"), ("disconnect", b"nothing")])
async def test_the_will_is_published_only_after_an_unexpected_disconnect(
    broker: Any, end: str, expected: bytes
) -> None:
    command = [sys.executable, "-c", CLIENT_WITH_WILL, str(broker.port), end]
    async with connect(broker, "b", "w") as watching:
        async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            assert await child.stdout.receive()
            if end == "kill":
                child.kill()
            await child.wait()
        if end == "disconnect":
            await watching.publish("w", b"nothing", qos=1)
        assert (await first(watching)).payload == expected


@pytest.mark.parametrize(("topic", "live"), [("query", "query"), ("query/camera", "query/+")])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_retained_messages_are_ignored_on_live_topics(
    broker: Any, protocol: str, topic: str, live: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(broker, "camera") as camera:
        for retained in (topic, "record"):
            await camera.publish(retained, b"old", qos=1, retain=True)
    options = MqttOptions("127.0.0.1", broker.port, "agent", protocol=protocol)
    async with MqttConnection(options, subscriptions=("record",), live=(live,)) as connection:
        assert (await first(connection)).payload == b"old", "of the record"
        await connection.publish(topic, b"new", qos=1, retain=True)
        message = await first(connection)
        assert (message.topic, message.payload, message.retain) == (topic, b"new", False)
    warned = f"ignored a retained message on {topic}" in caplog.text
    assert warned == (protocol == "3.1.1"), "with MQTT 5 the broker does not send it"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_stored_session_no_longer_receives_an_ended_topic(broker: Any, protocol: str) -> None:
    options = MqttOptions("127.0.0.1", broker.port, "agent", protocol=protocol)
    async with MqttConnection(options, live=("query", "query/+")) as before:
        await asyncio.wait_for(before.connected.wait(), TIMEOUT_S)
    async with MqttConnection(options, live=("query/+",), ended=("query",)) as after:
        await asyncio.wait_for(after.connected.wait(), TIMEOUT_S)
        for topic in ("query", "query/camera"):
            await after.publish(topic, b"x", qos=1)
        assert (await first(after)).topic == "query/camera"


async def test_of_two_clients_with_one_name_one_says_so_and_stands_back(
    broker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(broker, "inarvl-d", "t") as one, connect(broker, "inarvl-d", "t") as other:
        with anyio.fail_after(TIMEOUT_S):
            while not (standing_back := [c for c in (one, other) if "same name" in (c.problem or "")]):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        (loser,) = standing_back
        assert loser._client._reconnect_min_delay == STAND_BACK_S
        assert loser.alive, "the watchdog must not restart it"
        winner = other if loser is one else one
        await asyncio.wait_for(winner.connected.wait(), TIMEOUT_S)
        await asyncio.wait_for(winner.publish("t", b"x", qos=1), TIMEOUT_S)
    assert caplog.text.count("two agents have the same name") == 1


async def test_a_refused_subscription_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not DYNAMIC_SECURITY:
        pytest.skip("mosquitto's plugin for dynamic security is not installed")
    broker = Mosquitto(tmp_path / "broker", free_port(), extra=denying(tmp_path, readable=["allowed"]))
    broker.start()
    try:
        for protocol in ("5", "3.1.1"):
            caplog.clear()
            async with connect(broker, "a", "allowed", "denied", protocol=protocol) as connection:
                await asyncio.wait_for(connection.connected.wait(), TIMEOUT_S)
                assert connection.problem is not None
                assert "refuses subscriptions to denied (" in connection.problem
                assert "allowed (" not in connection.problem
            assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [connection.problem]
    finally:
        broker.kill()


async def test_a_client_that_keeps_no_session_leaves_nothing_on_the_broker(broker: Any) -> None:
    for protocol in ("5", "3.1.1"):
        for keeps_session, expected in ((True, b"missed"), (False, b"live")):
            name = f"{protocol}-{keeps_session}"
            async with connect(broker, name, "t", protocol=protocol, keeps_session=keeps_session) as client:
                await asyncio.wait_for(client.connected.wait(), TIMEOUT_S)
            async with connect(broker, "other") as other:
                await other.publish("t", b"missed", qos=1)
            async with connect(broker, name, "t", protocol=protocol, keeps_session=keeps_session) as client:
                await client.publish("t", b"live", qos=1)
                assert (await first(client)).payload == expected


async def test_an_expiry_interval_arrives_as_the_time_that_is_left(broker: Any) -> None:
    async with connect(broker, "a", "t") as connection:
        await connection.publish("t", b"x", qos=1, expiry_s=30)
        message = await first(connection)
        message.ack()
    assert message.expiry_s is not None
    assert 0 < message.expiry_s <= 30


TOO_DEEP = "/".join("a" * 202)  # mosquitto closes the connection above 200 slashes


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_message_at_which_the_broker_disconnects_fails_and_the_others_arrive(
    broker: Any, protocol: str
) -> None:
    failed: list[str] = []

    async def publish(connection: MqttConnection, topic: str) -> None:
        try:
            await connection.publish(topic, b"x", qos=1)
        except DisconnectedTwice:
            failed.append(topic)

    async with connect(broker, "a", protocol=protocol) as connection:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                for topic in ("t1", TOO_DEEP, "t2"):
                    tasks.start_soon(publish, connection, topic)
    assert failed == [TOO_DEEP]


async def test_a_message_larger_than_the_broker_accepts_is_not_sent(broker: Any) -> None:
    broker.kill()
    broker.configure("max_packet_size 2000")
    broker.start()
    async with connect(broker, "a", "t") as connection:
        with pytest.raises(PacketTooLarge):
            await connection.publish("t", bytes(2000), qos=1)
        connection.post("t", "x" * 2000)
        await connection.publish("t", bytes(1900), qos=1)
        assert len((await first(connection)).payload) == 1900


async def test_a_message_larger_than_this_client_accepts_does_not_arrive(broker: Any) -> None:
    async with connect(broker, "a", "t", maximum_packet_bytes=10_000) as connection:
        await connection.publish("t", bytes(20_000), qos=1)
        await connection.publish("t", bytes(9_000), qos=1)
        assert len((await first(connection)).payload) == 9_000


async def test_a_message_with_very_many_properties_arrives_without_its_payload(broker: Any) -> None:
    async with connect(broker, "a", "t") as connection, connect(broker, "b") as sender:
        await asyncio.wait_for(connection.connected.wait(), TIMEOUT_S)
        user = {f"{number}": "" for number in range(10_000)}
        await sender.publish("t", b"x", qos=1, response_topic="r", user=user)
        message = await first(connection)
        message.ack()
    assert message.oversized
    assert (message.payload, message.response_topic) == (b"", "r")
    assert len(message.user) <= MAX_PROPERTIES


async def test_unread_qos_0_messages_have_a_limit_in_bytes(
    broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.messages.mqtt_connection.MAX_QUEUED_BYTES", 3_000)
    async with connect(broker, "a", "t") as connection, connect(broker, "b") as sender:
        await asyncio.wait_for(connection.connected.wait(), TIMEOUT_S)
        await sender.publish("t", bytes(4_000))
        await sender.publish("t", bytes(5_000), qos=1)
        assert len((await first(connection)).payload) == 5_000
