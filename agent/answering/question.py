"""A query being worked on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.messages import images
from agent.messages.query import BadQuery, Query
from controller.signals import Signals, SignalsError, image_signals, text_signals


class Question:
    """A query with its signals, and its image at every resolution that an arm may ask for."""

    def __init__(self, query: Query, signals: Signals, image: bytes) -> None:
        self.query = query
        self.signals = signals
        self._image = image
        self._fitted: dict[int, bytes] = {}

    @classmethod
    def look(
        cls, query: Query, resolutions: Iterable[int], *, image_roots: Sequence[Path], max_image_bytes: int
    ) -> Question:
        """Fetch and decode the image, read its signals and fit it; tens of ms for a large one: use a thread.

        Raises:
            BadQuery: the image cannot be read.
        """
        image = images.load(query, image_roots, max_image_bytes)
        try:
            signals = Signals(image_signals(image), text_signals(query.question))
        except SignalsError as error:
            raise BadQuery("bad_image", str(error)) from None
        question = cls(query, signals, image)
        for resolution in resolutions:
            question.image(resolution)
        return question

    def image(self, resolution: int) -> bytes:
        """The encoded image with `resolution` pixels at its longest side at most."""
        if resolution not in self._fitted:
            self._fitted[resolution] = images.fit(self._image, resolution)
        return self._fitted[resolution]

    def payload_bytes(self, resolution: int) -> int:
        """Size of that image."""
        return len(self.image(resolution))
