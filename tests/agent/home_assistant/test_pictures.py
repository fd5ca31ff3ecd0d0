"""Only pictures that the site file allows are published, without what their mask covers."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from PIL import Image

from agent.config.camera_settings import CameraSettings
from agent.home_assistant.pictures import SIDE_PX, PicturePublisher
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from inarvl.door import Door

pytestmark = pytest.mark.anyio

YARD = CameraSettings.model_validate({"mask": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]})


def jpeg(side: int, colour: str = "white") -> bytes:
    file, image = io.BytesIO(), Image.new("RGB", (side, side), colour)
    exif = image.getexif()
    exif[0x010E] = "the address of the yard"
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


@asynccontextmanager
async def published(port: int, publisher: PicturePublisher) -> AsyncIterator[MqttConnection]:
    """Yields a connection that receives what is published."""
    agent = MqttConnection(MqttOptions("127.0.0.1", port, client_id="agent"))
    home = MqttConnection(MqttOptions("127.0.0.1", port, client_id="home"), subscriptions=("inarvl/d/#",))
    async with agent, home, anyio.create_task_group() as tasks:
        await agent.connected.wait()
        await home.connected.wait()
        tasks.start_soon(publisher.run, agent)
        yield home
        tasks.cancel_scope.cancel()


async def next_message(connection: MqttConnection) -> Message:
    with anyio.fail_after(60):
        async for message in connection.messages():
            message.ack()
            return message
    raise AssertionError("unreachable")


async def test_a_picture_is_masked_small_and_without_metadata(broker: Any) -> None:
    publisher = PicturePublisher(Topics("d"), guard=Door("pictures"))
    publisher.apply({"yard": YARD})
    async with published(broker.port, publisher) as home:
        publisher.offer("yard", jpeg(2 * SIDE_PX))
        message = await next_message(home)
    assert (message.topic, message.retain) == ("inarvl/d/picture/yard", False)
    assert b"address" not in message.payload
    with Image.open(io.BytesIO(message.payload)) as shown:
        assert shown.size == (SIDE_PX, SIDE_PX)
        assert shown.convert("L").getpixel((10, 10)) == 0
        assert shown.convert("L").getpixel((SIDE_PX - 10, 10)) == 255


async def test_other_pictures_and_those_that_cannot_be_decoded_are_not_published(broker: Any) -> None:
    door = Door("pictures")
    publisher = PicturePublisher(Topics("d"), guard=door)
    publisher.apply({"yard": YARD, "gate": CameraSettings()})
    async with published(broker.port, publisher) as home:
        publisher.offer("bedroom", jpeg(64))
        publisher.offer("yard", b"no picture")
        publisher.offer("gate", jpeg(64, "black"))
        publisher.offer("gate", jpeg(64))
        message = await next_message(home)
        publisher.apply({"yard": YARD})
        publisher.offer("gate", jpeg(64))
        publisher.offer("yard", jpeg(64))
        following = await next_message(home)
    assert message.topic == "inarvl/d/picture/gate"
    with Image.open(io.BytesIO(message.payload)) as shown:
        assert shown.convert("L").getpixel((10, 10)) == 255, "the newest picture"
    assert following.topic == "inarvl/d/picture/yard"
    assert door.dropped == 1
