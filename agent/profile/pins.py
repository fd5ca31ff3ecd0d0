"""Models whose files the profile pins: one with other files is not used."""

from __future__ import annotations

import logging

from agent.profile.profile import Profile
from controller.arm import Tier
from vlm.completion import ModelCard

log = logging.getLogger(__name__)

MAX_LOGGED = 64


class ModelPins:
    """Compares what servers report about their models with the pins of a profile.

    The board's own server computes the digest when it loads a model. A peer may report any digest: its pin
    finds a mistake, not a hostile peer.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._logged: set[tuple[Tier, str, str | None]] = set()

    def problem(self, tier: Tier, card: ModelCard) -> str | None:
        """Returns why a model must not be used; None if it may be."""
        pin = self._profile.sha256_of(tier, card)
        if pin is None or pin == card.sha256:
            return None
        found = f"has the SHA-256 {card.sha256}" if card.sha256 else "does not report its SHA-256"
        return f"model {card.id} is not the one that the profile pins: it {found}, and not {pin}"

    def resolutions_of(self, tier: Tier, card: ModelCard) -> tuple[int, ...]:
        """Returns the resolutions to try for a model: none for one that must not be used."""
        problem = self.problem(tier, card)
        if problem is None:
            return self._profile.resolutions_of(tier, card)
        key = (tier, card.id, card.sha256)
        if key not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(key)
            log.error("%s; serve the pinned one, or if you trust the new files, pin their digest", problem)
        return ()
