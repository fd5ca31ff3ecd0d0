"""The cameras that the agent watches, started and stopped as the site file says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.config.camera_rules import answer_topic
from agent.config.settings import Settings
from agent.intake.direct_door import DirectDoor
from agent.messages.images import Decoder
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.query import BadQuery
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from agent.watching.answer_publisher import AnswerPublisher
from agent.watching.asker import Asker
from agent.watching.camera import Camera, CameraPlan, Report
from inarvl.door import Door

log = logging.getLogger(__name__)


@dataclass
class _Running:
    camera: Camera
    scope: anyio.CancelScope
    ended: anyio.Event


class Watching:
    """Watches the cameras that have a source.

    Args:
        options: of the agent's connection to the broker.
        mqtt: publishes the answers.
        direct: answers the questions.
        report: called when a camera fails or recovers.
        show: called with the name of a camera and each picture that is asked about.
        guard: counts the pictures that cannot be used.
        clock: monotonic time in seconds.
        wall_clock: seconds since 1970.
        local: the local time.
    """

    def __init__(
        self,
        settings: Settings,
        options: MqttOptions,
        topics: Topics,
        mqtt: MqttConnection,
        direct: DirectDoor,
        report: Report,
        *,
        show: Callable[[str, bytes], None] = lambda _camera, _data: None,
        guard: Door,
        rng: np.random.Generator,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        local: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._options = options
        self._topics = topics
        self._publisher = AnswerPublisher(mqtt)
        self._direct = direct
        self._report = report
        self._show = show
        self._guard = guard
        self._rng = rng
        self._clock = clock
        self._wall_clock = wall_clock
        self._local = local
        self._decoder = Decoder()
        self._running: dict[str, _Running] = {}
        self._stopping = False
        self._changed = anyio.Event()
        self._plans: dict[str, CameraPlan] = {}
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Starts added cameras, stops removed ones, and starts changed ones again; others run on."""
        self._plans = plans_of(settings, self._topics)
        self._changed.set()

    def stop(self) -> None:
        """Asks nothing any more; `run` ends when the questions that are under way are answered."""
        self._stopping = True
        self._changed.set()

    def report(self) -> list[dict[str, Any]]:
        """Returns the state and the counts of each camera, for telemetry."""
        return [running.camera.report() for _, running in sorted(self._running.items())]

    async def run(self) -> None:
        """Watches until stopped or cancelled."""
        async with anyio.create_task_group() as tasks:
            while not self._stopping:
                self._changed = anyio.Event()
                await self._start_and_stop(tasks)
                await self._changed.wait()
            for running in self._running.values():
                running.camera.stop()

    async def _start_and_stop(self, tasks: TaskGroup) -> None:
        plans = self._plans
        for name, running in [*self._running.items()]:
            if plans.get(name) != running.camera.plan:
                running.scope.cancel()
                await running.ended.wait()
                del self._running[name]
        for name, plan in plans.items():
            if name not in self._running:
                self._running[name] = running = _Running(
                    self._camera(plan), anyio.CancelScope(), anyio.Event()
                )
                tasks.start_soon(self._watch, running)

    async def _watch(self, running: _Running) -> None:
        try:
            with running.scope:
                await running.camera.run()
        finally:
            running.ended.set()

    def _camera(self, plan: CameraPlan) -> Camera:
        def asker(name: str, camera: Camera) -> Asker:
            return Asker(
                plan.name,
                name,
                plan.settings.questions[name],
                plan.topics[name],
                camera,
                self._direct,
                self._publisher,
                guard=self._guard,
                rng=self._rng,
                clock=self._clock,
                local=self._local,
            )

        return Camera(
            plan,
            self._options,
            asker,
            self._report,
            show=self._show,
            decoder=self._decoder,
            guard=self._guard,
            rng=self._rng,
            clock=self._clock,
            wall_clock=self._wall_clock,
        )


def plans_of(settings: Settings, topics: Topics) -> dict[str, CameraPlan]:
    """Returns what to watch, by the name of the camera.

    A topic is checked again here: after a reload the device keeps its old name.
    """
    rules = ReplyRules(topics, settings.replies.allow)
    plans = {}
    for name, camera in settings.cameras.items():
        if camera.source is None:
            continue
        try:
            answers = {
                key: answer_topic(topics, rules, name, key, question)
                for key, question in camera.questions.items()
            }
        except BadQuery as error:
            log.error("camera %s is not watched: %s", name, error)
            continue
        plans[name] = CameraPlan(
            name,
            camera,
            answers,
            settings.image_roots,
            settings.camera_hosts,
            settings.intake.max_payload_bytes,
        )
    return plans
