"""A query being worked on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent import images
from agent.query import BadQuery, Query
from controller.signals import Signals, SignalsError, image_signals, text_signals


class Question:
    """A query with its signals, and its image at every resolution that an arm may ask for."""

    def __init__(self, query: Query, signals: Signals, fitted: dict[int, bytes]) -> None:
        self.query = query
        self.signals = signals
        self._fitted = fitted

    @classmethod
    def look(
        cls, query: Query, resolutions: Sequence[int], *, image_roots: Sequence[Path], max_image_bytes: int
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
        return cls(query, signals, {r: images.fit(image, r) for r in resolutions})

    def image(self, resolution: int) -> bytes:
        """The encoded image with `resolution` pixels at its longest side at most."""
        return self._fitted[resolution]

    def payload_bytes(self, resolution: int) -> int:
        """Size of that image."""
        return len(self._fitted[resolution])
