"""A query with everything that is needed to answer it: the signals of its images, and what arms get of them.

The decision needs the signals and the size of what would be sent. Only the chosen arm needs the image itself,
so it is encoded for an arm when that arm is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property

from anyio import to_thread

from agent.answering.cameras import Cameras
from agent.answering.view_sizes import ViewSizes
from agent.config.settings import Settings
from agent.forms.prompt import max_tokens, prompt_suffix
from agent.intake.content import content_digest
from agent.messages import images
from agent.messages.images import View
from agent.messages.query import Query
from agent.spending.cost import Bill
from agent.spending.tokens import image_tokens, text_tokens
from controller import Signals, combined_signals, text_signals

DEFAULT_MAX_TOKENS = 64


class Question:
    """A query with its signals, and its images at the resolutions that are needed.

    Args:
        prepared: its images, in the order of the query.
        decoder: makes the images for an arm.
        sizes: predicts their sizes.
        verified: whether the broker vouches for `query.client`.
        max_tokens: of the answer, for the forecast of its cost.

    Attributes:
        seen: the signals of each image; those in `signals` are of all together.
        bill: what the calls for it have cost.
    """

    def __init__(
        self,
        query: Query,
        signals: Signals,
        prepared: Sequence[images.PreparedImage],
        decoder: images.Decoder,
        sizes: ViewSizes,
        *,
        verified: bool = False,
        max_tokens: int = DEFAULT_MAX_TOKENS,
    ) -> None:
        self.query = query
        self.max_tokens = max_tokens
        self.verified = verified
        self.signals = signals
        self.seen = tuple(image.signals for image in prepared)
        self.bill = Bill()
        self._images = tuple(prepared)
        self._decoder = decoder
        self._sizes = sizes
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

    def input_tokens(self, resolution: int) -> int:
        """Estimates the tokens of a prompt with the images at this resolution, see `images`."""
        sizes = [(seen.width, seen.height) for seen in self.seen]
        return text_tokens(self.prompt) + image_tokens(sizes, resolution)

    def after(self, problem: str) -> Question:
        """Returns this question with the reason why an earlier answer to it was rejected."""
        question = copy(self)
        question._problem = problem
        return question

    def payload_bytes(self, resolution: int, mask: images.Mask = ()) -> int:
        """Returns the size of the images that `images` returns, predicted where they were not needed yet."""
        view = View(resolution, mask)
        return sum(
            len(image.views[view]) if view in image.views else self._sizes.predicted(image.signals, view)
            for image in self._images
        )

    async def images(self, resolution: int, mask: images.Mask = ()) -> tuple[bytes, ...]:
        """Returns the encoded images, each with at most `resolution` pixels on its longest side, masked.

        They are made in a thread, unless they have been needed so before.

        Raises:
            BadQuery: an image cannot be decoded.
        """
        view = View(resolution, mask)
        missing = [image for image in self._images if view not in image.views]
        if missing:
            made = await to_thread.run_sync(lambda: [self._decoder.view(image, view) for image in missing])
            for image, sent in zip(missing, made, strict=True):
                image.views[view] = sent
                self._sizes.learn(image.signals, view, len(sent))
        return tuple(image.views[view] for image in self._images)


class QuestionReader:
    """Reads the question of a query.

    Args:
        resolutions: returns the resolutions that arms may need now, in pixels; an image that is expensive to
            decode is made for all of them at once.
        cameras: have the masks of the images; None for no mask.
    """

    def __init__(
        self, resolutions: Callable[[], Iterable[int]], settings: Settings, cameras: Cameras | None = None
    ) -> None:
        self._resolutions = resolutions
        self._settings = settings
        self._cameras = cameras or Cameras.unrestricted()
        self._decoder = images.Decoder()
        self._sizes = ViewSizes()

    def apply(self, settings: Settings) -> None:
        """Applies the new `image_roots` and size limit to the queries read from now on."""
        self._settings = settings

    def read(self, query: Query, *, verified: bool = False) -> Question:
        """Reads the images as a person sees them, and computes their signals.

        Needs tens of milliseconds for a large image, and waits for memory: call it in a thread.

        Args:
            verified: whether the broker vouches for `query.client`.

        Raises:
            BadQuery: an image cannot be read.
        """
        files = images.load(query, self._settings.image_roots, self._settings.intake.max_payload_bytes)
        masks = {(), self._cameras.policy(query.client, verified=verified).mask}
        views = [View(resolution, mask) for resolution in self._resolutions() for mask in masks]
        prepared = [self._decoder.prepare(file, views, made_later=True) for file in files]
        seen = combined_signals([image.signals for image in prepared])
        if not self._settings.privacy.remember_looks:
            seen = replace(seen, picture="", scene="")
        signals = Signals(seen, text_signals(query.question))
        limits = (self._settings.intake.max_tokens, query.max_tokens, max_tokens(query.form))
        tokens = min(limit for limit in limits if limit is not None)
        return Question(
            query, signals, prepared, self._decoder, self._sizes, verified=verified, max_tokens=tokens
        )
