"""One camera: gets its pictures and passes each to its questions.

1. A picture is fetched only when a question needs one, and not more often than `poll_s`; for a trigger
   immediately. Pictures of an `mqtt` source come by themselves.
2. A failure (no connection, a missing folder, a picture that cannot be decoded) is reported once, and once
   more when a picture can be used again. In between the camera is tried again after a growing pause.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from agent.config.camera_settings import CameraSettings
from agent.messages.images import Decoder
from agent.messages.mqtt_options import MqttOptions
from agent.watching.asker import Asker
from agent.watching.frame import Frame
from agent.watching.growing_pause import GrowingPause
from agent.watching.sources.opening import source_of
from agent.watching.sources.source import Source, SourceFailed
from agent.watching.subscription import Subscription, camera_options
from inarvl.door import Door

log = logging.getLogger(__name__)

Report = Callable[..., None]
"""Called with `camera`, its new `state`, and where something is wrong with `message`."""


@dataclass(frozen=True)
class CameraPlan:
    """All that a camera depends on in the site file.

    Attributes:
        topics: of the answers, by question.
        roots, hosts: the folders and the hosts from which pictures may come.
        max_bytes: size limit of a picture.
    """

    name: str
    settings: CameraSettings
    topics: dict[str, str]
    roots: tuple[Path, ...]
    hosts: tuple[str, ...]
    max_bytes: int


@dataclass
class _State:
    """What is reported of a camera."""

    failing: bool = False
    error: str | None = None
    pictures: int = 0
    arrived_at: float | None = None


class Camera:
    """A camera with a source and questions.

    Args:
        options: of the agent's connection to the broker.
        asker: makes the asker of a question, by its name and this camera.
        report: called when the camera fails, and when it works again.
        show: called with the name of the camera and each picture that is asked about.
        guard: counts the pictures that cannot be used.
        clock: monotonic time in seconds.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        plan: CameraPlan,
        options: MqttOptions,
        asker: Callable[[str, Camera], Asker],
        report: Report,
        *,
        show: Callable[[str, bytes], None] = lambda _camera, _data: None,
        decoder: Decoder,
        guard: Door,
        rng: np.random.Generator,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.plan = plan
        self._options = camera_options(options, plan.name, max_bytes=plan.max_bytes)
        self._report = report
        self._show = show
        self._decoder = decoder
        self._guard = guard
        self._clock = clock
        self._wall_clock = wall_clock
        self._pause = GrowingPause(rng)
        self._askers = [asker(name, self) for name in plan.settings.questions]
        self._state = _State()
        self._unreachable = False
        self._triggered: set[int] = set()
        self._fetched_at = -math.inf
        self._changed = anyio.Event()
        self._getting = anyio.CancelScope()

    def stop(self) -> None:
        """Ends `run` when the questions that are under way are answered."""
        self._getting.cancel()
        for asker in self._askers:
            asker.stop()

    def report(self) -> dict[str, Any]:
        """Returns the state and the counts, for telemetry."""
        state, questions = self._state, {asker.name: asker.report() for asker in self._askers}
        age_s = None if state.arrived_at is None else round(self._clock() - state.arrived_at, 3)
        errors = [f"{name}: {counts['error']}" for name, counts in questions.items() if counts["error"]]
        error = state.error if state.failing else next(iter(errors), state.error)
        return {
            "camera": self.plan.name,
            "failing": state.failing,
            "error": error,
            "pictures": state.pictures,
            "picture_age_s": age_s,
            **{
                count: sum(q[count] for q in questions.values()) for count in ("asked", "answered", "dropped")
            },
            "questions": questions,
        }

    async def run(self) -> None:
        """Gets pictures and asks about them, until stopped or cancelled."""
        async with anyio.create_task_group() as tasks:
            for asker in self._askers:
                tasks.start_soon(asker.run)
            with self._getting:
                await self._get_pictures()

    def picture_checked(self, problem: str | None) -> None:
        """Records whether a picture could be decoded."""
        if problem is None:
            self._works()
        else:
            self._guard.drop(self.plan.name, problem)
            self._fails(problem)

    def asked_about(self, frame: Frame) -> None:
        """Passes on a picture that a question is asked about."""
        self._show(self.plan.name, frame.data)

    def question_idle(self) -> None:
        """Records that a question may need a picture."""
        self._changed.set()

    async def _get_pictures(self) -> None:
        settings = self.plan.settings.source
        assert settings is not None
        source = source_of(
            settings, hosts=self.plan.hosts, roots=self.plan.roots, max_bytes=self.plan.max_bytes
        )
        receivers: list[tuple[str, Callable[[bytes], None]]] = []
        if source is None:
            receivers.append((settings.topic, self._receive))
        for number, asker in enumerate(self._askers):
            if asker.trigger_topic is not None:
                receivers.append(
                    (asker.trigger_topic, partial(self._trigger, number, fetch=source is not None))
                )
        async with anyio.create_task_group() as tasks:
            if receivers:
                tasks.start_soon(Subscription(self._options, receivers, self._connection).run)
            if source is not None:
                try:
                    await self._fetch_pictures(source, settings.pause_s)
                finally:
                    with anyio.CancelScope(shield=True):
                        await source.close()

    async def _fetch_pictures(self, source: Source, least_pause_s: float) -> None:
        while True:
            await self._until_needed(least_pause_s)
            self._fetched_at = self._clock()
            triggered, self._triggered = self._triggered, set()
            fetched = False
            with self._guard.guard(self.plan.name):
                fetched = await self._fetch(source)
            for number in triggered if fetched else ():
                self._askers[number].trigger()

    async def _fetch(self, source: Source) -> bool:
        """Fetches a picture; returns whether the source works."""
        try:
            data = await source.fetch()
        except SourceFailed as error:
            self._unreachable = True
            self._fails(str(error))
            return False
        if data is not None:
            self._offer(data)
        elif self._unreachable:
            self._works()
        self._unreachable = False
        return True

    async def _until_needed(self, least_pause_s: float) -> None:
        """Waits until a question needs a picture and one may be fetched."""
        while True:
            changed = self._changed = anyio.Event()
            now = self._clock()
            wait_s = self._pause.until - now
            if not self._triggered:
                needed_in_s = min(asker.needs_picture_in_s() for asker in self._askers)
                wait_s = max(wait_s, needed_in_s, self._fetched_at + least_pause_s - now)
            if wait_s <= 0:
                return
            with anyio.move_on_after(wait_s):
                await changed.wait()

    def _receive(self, payload: bytes) -> None:
        """Receives a picture over MQTT; ignores it during the pause after a failure."""
        if len(payload) > self.plan.max_bytes:
            self.picture_checked(
                f"a picture has over {self.plan.max_bytes} bytes: publish smaller ones, or raise "
                "intake.max_payload_bytes"
            )
        elif self._clock() >= self._pause.until:
            self._offer(payload)

    def _trigger(self, number: int, _payload: bytes, *, fetch: bool) -> None:
        if fetch:
            self._triggered.add(number)
            self._changed.set()
        else:
            self._askers[number].trigger()

    def _offer(self, data: bytes) -> None:
        state = self._state
        state.pictures += 1
        state.arrived_at = self._clock()
        frame = Frame(
            state.pictures, data, self._decoder, arrived_at=state.arrived_at, taken_at=self._wall_clock()
        )
        for asker in self._askers:
            asker.offer(frame)

    def _connection(self, problem: str | None) -> None:
        self._works() if problem is None else self._fails(problem)

    def _fails(self, problem: str) -> None:
        self._state.failing, self._state.error = True, problem
        if self._pause.fail(self._clock()):
            log.warning("camera %s fails: %s", self.plan.name, problem)
            self._report(camera=self.plan.name, state="failed", message=problem)

    def _works(self) -> None:
        self._state.failing = False
        if self._pause.succeed():
            log.info("camera %s recovered", self.plan.name)
            self._report(camera=self.plan.name, state="recovered")
