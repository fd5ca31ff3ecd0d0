"""Collects what the page shows from the parts of the agent.

1. Without `http.page` in the site file nothing is collected.
2. What public decision records may not have, the page does not have either: questions and answers of cameras
   that are local_only, and all of them with `privacy.publish_texts: false`.
3. Pictures are made only with `http.page.pictures`, only while somebody has the page open, and masked as for
   the cloud. At most MAX_WAITING answers wait for theirs; further ones get none.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from agent.answering.question import Question
from agent.config.page_settings import PageSettings
from agent.intake.request import Request
from agent.messages.images import Mask
from agent.messages.reply import Answer
from agent.page.entry import AnswerEntry
from agent.page.state import PageState
from agent.page.telemetry_view import telemetry_view
from inarvl.door import Door

log = logging.getLogger(__name__)

PICTURE_PX, MAX_PICTURE_BYTES = 96, 16_384
MAX_WAITING = 4
KINDS = {b"\xff\xd8": "jpeg", b"\x89P": "png"}


class Page:
    """What the page of one agent shows.

    Attributes:
        settings: None if there is no page.
        state: what readers get.
        readers: how many have the page open.

    Args:
        device: name of the board.
        door: counts and logs the faults that a query's picture meets.
    """

    def __init__(
        self,
        settings: PageSettings | None,
        device: str,
        *,
        door: Door | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.state = PageState(device)
        self.readers = 0
        self._door = door or Door("pictures for the page")
        self._clock = clock
        self._send, self._receive = anyio.create_memory_object_stream[tuple[AnswerEntry, Question, Mask]](
            MAX_WAITING
        )

    def telemetry(self, content: Mapping[str, Any]) -> None:
        """Receives telemetry."""
        if self.settings is not None:
            self.state.set_telemetry(telemetry_view(content))
            self.state.set_mode(content["mode"])

    def event(self, content: Mapping[str, str]) -> None:
        """Receives an event."""
        if self.settings is not None:
            self.state.add_event(self._clock(), content)
            if content["event"] == "mode":
                self.state.set_mode(content["mode"])

    def answered(
        self,
        request: Request,
        answer: Answer,
        question: Question,
        record: dict[str, Any],
        *,
        texts: bool,
        mask: Mask = (),
    ) -> None:
        """Receives an answer that was sent, with everything that followed it.

        Args:
            record: its decision record, without words of a model.
            texts: whether the question and the words of the models may be shown.
            mask: what is black in the picture.
        """
        if self.settings is None:
            return
        entry = AnswerEntry.of(request, answer, record, now=self._clock(), texts=texts)
        self.state.add_answer(entry, record)
        if self.settings.pictures and texts and self.readers:
            try:
                self._send.send_nowait((entry, question, mask))
            except anyio.WouldBlock:
                log.debug("no picture for the page: %d answers wait for theirs", MAX_WAITING)

    async def run(self) -> None:
        """Makes the pictures, until cancelled."""
        async for entry, question, mask in self._receive:
            with self._door.guard(f"the image of query {question.query.id}"):
                entry.picture = _data_url((await question.images(PICTURE_PX, mask))[0])
                self.state.answer_changed(entry.key)


def _data_url(picture: bytes) -> str | None:
    kind = KINDS.get(picture[:2])
    if kind is None or len(picture) > MAX_PICTURE_BYTES:
        return None
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
