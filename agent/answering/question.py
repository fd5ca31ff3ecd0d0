"""A query with everything that is needed to answer it: its images, decoded once, and their signals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property

from anyio import to_thread

from agent.config.settings import Settings
from agent.forms.prompt import prompt_suffix
from agent.messages import images
from agent.messages.query import BadQuery, Query
from controller import ImageSignals, Signals, SignalsError, combined_signals, image_signals, text_signals


class Question:
    """A query with its signals, and its images at every resolution that an arm may need.

    Args:
        images: the encoded images at full resolution, in the order of the query.
        seen: the signals of each image; those in `signals` are of all together.
    """

    def __init__(
        self, query: Query, signals: Signals, images: Sequence[bytes], seen: Sequence[ImageSignals] = ()
    ) -> None:
        self.query = query
        self.signals = signals
        self.seen = tuple(seen) or (signals.image,)
        self._images = tuple(images)
        self._problem: str | None = None
        self._resized: dict[int, tuple[bytes, ...]] = {}

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

    async def images(self, resolution: int) -> tuple[bytes, ...]:
        """Returns the encoded images, each with at most `resolution` pixels on its longest side.

        They are resized in a thread, unless they have been needed at this resolution before.
        """
        if resolution not in self._resized:
            await to_thread.run_sync(self._resize, resolution)
        return self._resized[resolution]

    def _resize(self, resolution: int) -> None:
        self._resized[resolution] = tuple(images.fit(image, resolution) for image in self._images)


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
        """Reads the images as a person sees them, computes their signals, and resizes them.

        Needs tens of milliseconds for a large image: call it in a thread.

        Raises:
            BadQuery: an image cannot be read.
        """
        files = images.load(query, self._settings.image_roots, self._settings.intake.max_payload_bytes)
        normalised = [images.normalise(file) for file in files]
        try:
            seen = [image_signals(image) for image in normalised]
        except SignalsError as error:
            raise BadQuery("bad_image", str(error)) from None
        signals = Signals(combined_signals(seen), text_signals(query.question))
        question = Question(query, signals, normalised, seen)
        for resolution in self._resolutions():
            question._resize(resolution)
        return question
