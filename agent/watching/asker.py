"""Asks one standing question, about the newest picture only.

1. Pictures never wait in a queue. While the question is under way, a newer picture replaces the one before,
   which is dropped and counted.
2. A picture is decoded before it is asked about. One that cannot be decoded is a failure of its camera.
3. A refused question is asked again after a growing pause, about the picture that is the newest then.
4. With `before`, the first picture is not asked about: there is nothing to compare it with.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import anyio
import numpy as np

from agent.config.standing_question import StandingQuestion
from agent.intake.direct_door import DirectDoor
from agent.messages.query import BadQuery, Query
from agent.messages.reply import Answer, Refusal, Reply
from agent.watching.answer_publisher import AnswerPublisher
from agent.watching.frame import Frame
from agent.watching.growing_pause import GrowingPause
from agent.watching.schedule import Schedule, Verdict
from inarvl.door import Door
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class Pictures(Protocol):
    """The camera, as its questions see it."""

    def picture_checked(self, problem: str | None) -> None:
        """Records whether a picture could be decoded."""

    def asked_about(self, frame: Frame) -> None:
        """Records that a question is asked about a picture."""

    def question_idle(self) -> None:
        """Records that a question may need a picture."""


class Asker:
    """One standing question of a camera.

    Attributes:
        asked, answered: how often.
        dropped: pictures that were replaced while the question was under way.
        error: the last error; None if there was none.

    Args:
        name: of the question.
        topic: of its answers.
        direct: answers queries.
        guard: guards against faults that a picture finds.
        new_id: returns a new id of a query.
    """

    def __init__(
        self,
        camera: str,
        name: str,
        settings: StandingQuestion,
        topic: str,
        pictures: Pictures,
        direct: DirectDoor,
        publisher: AnswerPublisher,
        *,
        guard: Door,
        rng: np.random.Generator,
        clock: Callable[[], float],
        local: Callable[[], datetime],
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.name = name
        self.asked = self.answered = self.dropped = 0
        self.error: str | None = None
        self._camera = camera
        self._settings = settings
        self._topic = topic
        self._pictures = pictures
        self._direct = direct
        self._publisher = publisher
        self._guard = guard
        self._clock = clock
        self._local = local
        self._new_id = new_id
        self._schedule = Schedule(settings.when)
        self._pause = GrowingPause(rng)
        self._newest: Frame | None = None
        self._before: Frame | None = None
        self._unseen = False
        self._under_way = False
        self._stopping = False
        self._changed = anyio.Event()

    @property
    def trigger_topic(self) -> str | None:
        """The topic whose messages are a reason to ask; None if there is none."""
        return self._settings.when.trigger

    def offer(self, frame: Frame) -> None:
        """Replaces the newest picture."""
        self.dropped += self._unseen and self._under_way
        self._newest, self._unseen = frame, True
        self._changed.set()

    def trigger(self) -> None:
        """Records a message on the trigger topic."""
        self._schedule.trigger(self._local().time())
        self._changed.set()

    def stop(self) -> None:
        """Ends `run` when the present question is answered."""
        self._stopping = True
        self._changed.set()

    def needs_picture_in_s(self) -> float:
        """Returns how long no picture is needed, in seconds; infinite while the question is under way."""
        return math.inf if self._under_way else self._wait_s()

    def report(self) -> dict[str, Any]:
        """Returns the counts, for telemetry."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "dropped": self.dropped,
            "error": self.error,
        }

    async def run(self) -> None:
        """Asks until stopped or cancelled."""
        while not self._stopping:
            finished = False
            with self._guard.guard(f"{self._camera}, question {self.name}"):
                await self._ask_next()
                finished = True
            if not finished:
                self._newest = None
                self._refused("the agent failed on a picture: see its log")
            self._under_way = False
            self._pictures.question_idle()

    async def _ask_next(self) -> None:
        """Waits until the question is due, asks it, and publishes the answer."""
        changed = self._changed = anyio.Event()
        frame, self._unseen = self._newest, False
        if frame is not None and (scene := await self._scene_if_due(frame)) is not None:
            await self._ask(frame, scene)
            return
        with anyio.move_on_after(self._wait_s() or math.inf):
            await changed.wait()

    async def _scene_if_due(self, frame: Frame) -> str | None:
        """Returns the average hash of a picture to ask about; None if there is nothing to ask now."""
        now, local = self._clock(), self._local().time()
        verdict = self._schedule.verdict(frame.number, now=now, local=local)
        if verdict is Verdict.NO:
            return None
        try:
            scene = await frame.scene()
        except BadQuery as error:
            self._newest = None
            if error.code == "busy":
                self._refused(str(error))
            else:
                self._pictures.picture_checked(str(error))
            return None
        self._pictures.picture_checked(None)
        if verdict is Verdict.IF_CHANGED and not self._schedule.changed(frame.number, scene):
            return None
        return scene

    async def _ask(self, frame: Frame, scene: str) -> None:
        if self._stopping:
            return
        self._schedule.ask(frame.number, now=self._clock())
        before = self._before
        if self._settings.before and before is None:
            self._before = frame
            self._schedule.answer(scene)
            return
        self._under_way = True
        self.asked += 1
        self._pictures.asked_about(frame)
        reply = await self._reply(self._query(frame, before))
        if isinstance(reply, Answer):
            self.answered += 1
            self._before = frame if self._settings.before else None
            self._schedule.answer(scene)
            self._pause.succeed()
        else:
            self._refused(f"{reply.code}: {reply.message}")
        dropped = await self._publisher.publish(
            self._topic, reply, self._about(frame, before), retain=self._settings.retain
        )
        self.error = dropped or self.error

    async def _reply(self, query: Query) -> Reply:
        try:
            return await self._direct.ask(query, verified=True)
        except InarvlError as error:
            return Refusal.of(error, query_id=query.id)

    def _query(self, frame: Frame, before: Frame | None) -> Query:
        settings = self._settings
        pair = () if before is None else (before.data, frame.data)
        return Query(
            id=self._new_id(),
            question=settings.text.strip(),
            image=None if pair else frame.data,
            images=pair,
            deadline_ms=settings.deadline,
            pin=settings.pin,
            max_tokens=settings.max_tokens,
            priority=settings.priority,
            client=self._camera,
            form=settings.form,
        )

    def _about(self, frame: Frame, before: Frame | None) -> dict[str, Any]:
        about = {"camera": self._camera, "question": self.name, "taken_at": round(frame.taken_at, 3)}
        if before is not None:
            about["before_at"] = round(before.taken_at, 3)
        return about

    def _refused(self, problem: str) -> None:
        self.error = problem
        if self._pause.fail(self._clock()):
            log.warning("camera %s, question %s: %s", self._camera, self.name, problem)
        self._schedule.refuse(self._pause.until)

    def _wait_s(self) -> float:
        return self._schedule.wait_s(now=self._clock(), local=self._local().time())
