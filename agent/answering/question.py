"""A query with everything that is needed to answer it: its image, decoded once, and its signals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from functools import cached_property

from anyio import to_thread

from agent.config.settings import Settings
from agent.forms.prompt import prompt_suffix
from agent.messages import images
from agent.messages.query import BadQuery, Query
from controller import Signals, SignalsError, image_signals, text_signals


class Question:
    """A query with its signals, and its image at every resolution that an arm may need.

    Args:
        image: the encoded image at full resolution.
    """

    def __init__(self, query: Query, signals: Signals, image: bytes) -> None:
        self.query = query
        self.signals = signals
        self._image = image
        self._problem: str | None = None
        self._resized: dict[int, bytes] = {}

    @property
    def prompt(self) -> str:
        """The question with the sentences that ask for its form, if the sender named one."""
        suffix = prompt_suffix(self.query.form)
        if self._problem is not None:
            suffix = f"{suffix} An earlier answer was rejected: {self._problem}."
        return f"{self.query.question} {suffix}" if suffix else self.query.question

    @cached_property
    def digest(self) -> str:
        """Identifies what is asked, also when it is asked again."""
        asked = replace(self.query, id="", client="", deadline_ms=None, response_topic=None, correlation=None)
        return hashlib.sha256(asked.to_bytes()).hexdigest()

    def after(self, problem: str) -> Question:
        """Returns this question with the reason why an earlier answer to it was rejected."""
        question = copy(self)
        question._problem = problem
        return question

    async def image(self, resolution: int) -> bytes:
        """Returns the encoded image with at most `resolution` pixels on its longest side.

        It is resized in a thread, unless it has been needed at this resolution before.
        """
        if resolution not in self._resized:
            await to_thread.run_sync(self._resize, resolution)
        return self._resized[resolution]

    def _resize(self, resolution: int) -> None:
        self._resized[resolution] = images.fit(self._image, resolution)


class QuestionReader:
    """Reads the question of a query.

    Args:
        resolutions: returns the resolutions that arms may need now, in pixels.
    """

    def __init__(self, resolutions: Callable[[], Iterable[int]], settings: Settings) -> None:
        self._resolutions = resolutions
        self._settings = settings

    def apply(self, settings: Settings) -> None:
        """Applies the new `image_roots` and size limit to the queries read from now on."""
        self._settings = settings

    def read(self, query: Query) -> Question:
        """Reads the image as a person sees it, computes its signals, and resizes it for every resolution.

        Needs tens of milliseconds for a large image: call it in a thread.

        Raises:
            BadQuery: the image cannot be read.
        """
        file = images.load(query, self._settings.image_roots, self._settings.intake.max_payload_bytes)
        image = images.normalise(file)
        try:
            signals = Signals(image_signals(image), text_signals(query.question))
        except SignalsError as error:
            raise BadQuery("bad_image", str(error)) from None
        question = Question(query, signals, image)
        for resolution in self._resolutions():
            question._resize(resolution)
        return question
