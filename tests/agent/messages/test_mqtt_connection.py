"""The connection against a real broker: properties, acknowledgements, reconnects and the last will."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import anyio
import pytest

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions

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
