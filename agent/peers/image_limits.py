"""How many images each model accepts in one question.

1. The profile's `max_images` of the model counts, else what its server reports.
2. A model that refused several images is not asked again with as many, in this run of the agent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from controller import Tier
from vlm.client import ModelCard
from vlm.errors import VlmError
from vlm.image_limit import accepted_images

log = logging.getLogger(__name__)

MAX_LEARNED = 1024


class ImageLimits:
    """The limits of models, by the URL of their server.

    Args:
        configured: returns the profile's limit for a model of a tier, else its server's, else None.
    """

    def __init__(self, configured: Callable[[Tier, ModelCard], int | None]) -> None:
        self._configured = configured
        self._learned: dict[tuple[str, str], int] = {}

    def of(self, tier: Tier, url: str, card: ModelCard) -> int | None:
        """Returns the most images that a question to the model may have; None if no limit is known."""
        known = [self._configured(tier, card), self._learned.get((url, card.id))]
        return min((limit for limit in known if limit is not None), default=None)

    def learn(self, url: str, model: str, error: VlmError, sent: int) -> None:
        """Learns from a failed call with `sent` images, if their number is the reason."""
        limit = accepted_images(error, sent)
        if limit is None or (len(self._learned) >= MAX_LEARNED and (url, model) not in self._learned):
            return
        log.info("model %s of %s accepts no more than %d images: %s", model, url, limit, error)
        self._learned[url, model] = limit
