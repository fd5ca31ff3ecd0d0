"""A query with everything that is needed to answer it: its images, decoded once, and their signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cached_property

from anyio import to_thread

from agent.config.settings import Settings
from agent.forms.prompt import prompt_suffix
from agent.intake.content import content_digest
from agent.messages import images
from agent.messages.query import Query
from controller import Signals, combined_signals, text_signals


class Question:
    """A query with its signals, and its images at every resolution that an arm may need.

    Args:
        prepared: its images, in the order of the query, at the resolutions that arms need now.
        decoder: resizes the images for arms that appear later.

    Attributes:
        seen: the signals of each image; those in `signals` are of all together.
    """

    def __init__(
        self,
        query: Query,
        signals: Signals,
        prepared: Sequence[images.PreparedImage],
        decoder: images.Decoder,
    ) -> None:
        self.query = query
        self.signals = signals
        self.seen = tuple(image.signals for image in prepared)
        self._images = tuple(prepared)
        self._decoder = decoder
        self._problem: str | None = None

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
        return content_digest(self.query)

    def after(self, problem: str) -> Question:
        """Returns this question with the reason why an earlier answer to it was rejected."""
        question = copy(self)
        question._problem = problem
        return question

    async def images(self, resolution: int) -> tuple[bytes, ...]:
        """Returns the encoded images, each with at most `resolution` pixels on its longest side.

        They are resized in a thread, unless they have been needed at this resolution before.
        """
        if any(resolution not in image.resized for image in self._images):
            await to_thread.run_sync(self._resize, resolution)
        return tuple(image.resized[resolution] for image in self._images)

    def _resize(self, resolution: int) -> None:
        for image in self._images:
            later = self._decoder.prepare(image.encoded, (resolution,))
            image.resized.update(later.resized)


class QuestionReader:
    """Reads the question of a query.

    Args:
        resolutions: returns the resolutions that arms may need now, in pixels.
    """

    def __init__(self, resolutions: Callable[[], Iterable[int]], settings: Settings) -> None:
        self._resolutions = resolutions
        self._settings = settings
        self._decoder = images.Decoder()

    def apply(self, settings: Settings) -> None:
        """Applies the new `image_roots` and size limit to the queries read from now on."""
        self._settings = settings

    def read(self, query: Query) -> Question:
        """Reads the images as a person sees them, computes their signals, and resizes them.

        Needs tens of milliseconds for a large image, and waits for memory: call it in a thread.

        Raises:
            BadQuery: an image cannot be read.
        """
        files = images.load(query, self._settings.image_roots, self._settings.intake.max_payload_bytes)
        prepared = [self._decoder.prepare(file, self._resolutions()) for file in files]
        seen = combined_signals([image.signals for image in prepared])
        return Question(query, Signals(seen, text_signals(query.question)), prepared, self._decoder)
