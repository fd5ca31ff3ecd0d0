"""Keeps the learned state of the controller across restarts.

1. At the start, the controller begins with the profile's warm start, which has estimates for its models.
   Then the last saved state of this board is restored.
2. The state is saved at regular intervals and at the stop.
"""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
from anyio import to_thread

from agent.daemon.store import Store, StoreFailed
from agent.profile.warm_start import read_warm_start
from agent.reporting.events import Events
from controller import Controller
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class LearnedState:
    """Saves and restores one controller."""

    def __init__(self, controller: Controller, store: Store, events: Events) -> None:
        self._controller = controller
        self._store = store
        self._events = events

    def restore(self, warm_start: Path | None) -> None:
        """Begins with `warm_start`, if given, then restores the last saved state; reports unusable files."""
        if warm_start is not None:
            try:
                self._controller.begin(read_warm_start(warm_start))
            except InarvlError as error:
                self._events.error("warm_start_failed", f"nothing is known of the models yet: {error}")
        for bad in self._store.load(self._controller.restore):
            message = f"the saved state of the controller is damaged or of another version: moved to {bad}"
            self._events.error("learned_damaged", message)

    async def save(self) -> None:
        """Saves the state now; a failure is logged."""
        snapshot = self._controller.snapshot()
        try:
            await to_thread.run_sync(self._store.save, snapshot)
        except StoreFailed as error:
            log.error("%s", error)

    async def save_every(self, seconds: float) -> None:
        """Saves the state every `seconds` until cancelled."""
        while True:
            await anyio.sleep(seconds)
            await self.save()
