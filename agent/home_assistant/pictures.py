"""Publishes the pictures of cameras for Home Assistant, as far as the site file allows it.

1. Only cameras that `home_assistant.frames` names. Their mask is black, as in what goes to the cloud.
2. A picture is encoded anew, without its metadata, and with at most SIDE_PX pixels on its longer side.
3. Of each camera only the newest picture is published, and none is retained by the broker. Without a
   connection they are dropped.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import anyio
from anyio import to_thread

from agent.config.camera_settings import CameraSettings
from agent.messages.images import Decoder, View
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.topics import Topics
from inarvl.door import Door

SIDE_PX: Final = 960


class PicturePublisher:
    """Publishes the newest pictures.

    Args:
        guard: guards against faults that a picture finds.
    """

    def __init__(self, topics: Topics, *, guard: Door) -> None:
        self._topics = topics
        self._guard = guard
        self._decoder = Decoder()
        self._cameras: dict[str, CameraSettings] = {}
        self._waiting: dict[str, bytes] = {}
        self._changed = anyio.Event()

    def apply(self, cameras: dict[str, CameraSettings]) -> None:
        """Replaces the cameras whose pictures are published."""
        self._cameras = cameras
        self._waiting = {name: data for name, data in self._waiting.items() if name in cameras}

    def offer(self, camera: str, data: bytes) -> None:
        """Replaces the newest picture of a camera."""
        if camera in self._cameras:
            self._waiting[camera] = data
            self._changed.set()

    async def run(self, mqtt: MqttConnection) -> None:
        """Publishes until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            while self._waiting:
                camera, data = self._waiting.popitem()
                with self._guard.guard(camera):
                    await self._publish(mqtt, camera, data)

    async def _publish(self, mqtt: MqttConnection, camera: str, data: bytes) -> None:
        view = View(SIDE_PX, self._cameras[camera].mask)
        prepared = await to_thread.run_sync(partial(self._decoder.prepare, data, (view,)))
        if mqtt.connected.is_set():
            await mqtt.publish(self._topics.camera_picture(camera), prepared.views[view])
