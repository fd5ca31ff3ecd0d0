"""The link keeps its promises towards a real broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import anyio
import pytest

from agent.messages.mqtt import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions

pytestmark = pytest.mark.anyio

PATIENCE_S = 30
WITH_WILL = """
import anyio, sys
from agent.messages.mqtt import MqttConnection
from agent.messages.mqtt_options import MqttOptions, Will

async def main():
    options = MqttOptions("127.0.0.1", int(sys.argv[1]), "dying")
    async with MqttConnection(options, will=Will("w", b"gone")) as link:
        await link.connected.wait()
        print("up", flush=True)
        if sys.argv[2] == "stay":
            await anyio.sleep_forever()

anyio.run(main)
"""


def link(broker: Any, client_id: str, *subscriptions: str, **options: Any) -> MqttConnection:
    return MqttConnection(
        MqttOptions("127.0.0.1", broker.port, client_id, **options), subscriptions=subscriptions
    )


async def first(connection: MqttConnection) -> Message:
    with anyio.fail_after(PATIENCE_S):
        async for message in connection.messages():
            return message
    raise AssertionError("the link ended")


async def test_properties_arrive_as_they_were_sent(broker: Any) -> None:
    async with link(broker, "a", "t") as connection:
        await connection.publish(
            "t", b"\x00\xff", qos=1, response_topic="r", correlation=b"\x01", user={"k": "v"}
        )
        message = await first(connection)
        message.ack()
    assert (message.topic, message.payload) == ("t", b"\x00\xff")
    assert (message.response_topic, message.correlation, message.user) == ("r", b"\x01", {"k": "v"})


async def test_an_older_protocol_carries_the_payload_alone(broker: Any) -> None:
    async with link(broker, "a", "t", protocol="3.1.1") as connection:
        await connection.publish("t", b"x", qos=1, response_topic="r", user={"k": "v"})
        message = await first(connection)
        message.ack()
    assert (message.payload, message.response_topic, message.user) == (b"x", None, {})


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_only_what_was_not_acknowledged_comes_again(broker: Any, protocol: str) -> None:
    async with link(broker, "a", "t", protocol=protocol) as connection:
        await connection.publish("t", b"acknowledged", qos=1)
        (await first(connection)).ack()
        await connection.publish("t", b"forgotten", qos=1)
        once = await first(connection)
        assert (once.payload, once.dup) == (b"forgotten", False)
    async with link(broker, "a", "t", protocol=protocol) as connection:
        again = await first(connection)
        again.ack()
    assert (again.payload, again.dup, again.packet) == (b"forgotten", True, once.packet)


async def test_a_publish_waits_for_a_broker_that_comes_back(broker: Any) -> None:
    async with link(broker, "a") as connection:
        await asyncio.wait_for(connection.connected.wait(), PATIENCE_S)
        broker.kill()
        sending = asyncio.create_task(connection.publish("t", b"late", qos=1, retain=True))
        await anyio.wait_all_tasks_blocked()
        assert not sending.done()
        broker.start()
        await asyncio.wait_for(sending, PATIENCE_S)
    async with link(broker, "b", "t") as other:
        assert (await first(other)).payload == b"late"


@pytest.mark.parametrize(("how", "left"), [("stay", b"gone"), ("leave", b"nothing")])
async def test_the_will_is_published_only_after_an_abrupt_end(broker: Any, how: str, left: bytes) -> None:
    command = [sys.executable, "-c", WITH_WILL, str(broker.port), how]
    async with link(broker, "b", "w") as watching:
        async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            assert await child.stdout.receive()
            if how == "stay":
                child.kill()
            await child.wait()
        if how == "leave":
            await watching.publish("w", b"nothing", qos=1)
        assert (await first(watching)).payload == left
