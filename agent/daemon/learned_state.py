"""Keeps what was learned across restarts: of the decisions, of the comparison of answers, and of feedback.

1. At the start, the controller begins with the profile's warm start, which has estimates for its models.
   Then the last saved state of this board is restored.
2. The state is saved at regular intervals and at the stop. Saves never overlap: a later one waits for the
   earlier, also for one whose caller was cancelled, and then writes what is known at that time.
3. A state with a number that is not finite is not saved: the last saved state is restored instead.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from agent.agreement.calibration import Calibration
from agent.answering.feedback_trust import FeedbackTrust
from agent.daemon.store import NotFinite, Store, StoreFailed
from agent.profile.warm_start import read_warm_start
from agent.reporting.events import Events
from controller import Controller
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

AGREEMENT, FEEDBACK = "agreement", "feedback"


class LearnedState:
    """Saves and restores a controller, a calibration and the trust in feedback, in one file."""

    def __init__(
        self,
        controller: Controller,
        calibration: Calibration,
        trust: FeedbackTrust,
        store: Store,
        events: Events,
    ) -> None:
        self._controller = controller
        self._calibration = calibration
        self._trust = trust
        self._store = store
        self._events = events
        self._saving = anyio.Lock()
        self._first = self._snapshot()

    def restore(self, warm_start: Path | None) -> None:
        """Begins with `warm_start`, if given, then restores the last saved state; reports unusable files."""
        if warm_start is not None:
            try:
                self._controller.begin(read_warm_start(warm_start))
            except InarvlError as error:
                self._events.error("warm_start_failed", f"nothing is known of the models yet: {error}")
        self._first = self._snapshot()
        self._load()

    def _load(self) -> None:
        for bad in self._store.load(self._accept):
            message = f"the saved state of the controller is damaged or of another version: moved to {bad}"
            self._events.error("learned_damaged", message)

    async def save(self) -> None:
        """Saves the state now; a failure is logged."""
        async with self._saving:
            try:
                await to_thread.run_sync(self._store.save, self._snapshot())
            except NotFinite as error:
                log.error("%s", error)
                message = (
                    "the learned state had a number that is not finite: the last saved state is used again"
                )
                self._events.error("learned_damaged", message)
                self._accept({**self._first})
                self._load()
            except StoreFailed as error:
                log.error("%s", error)

    def _snapshot(self) -> dict[str, Any]:
        return {
            **self._controller.snapshot(),
            AGREEMENT: self._calibration.snapshot(),
            FEEDBACK: self._trust.snapshot(),
        }

    def _accept(self, content: dict[str, Any]) -> None:
        agreement, feedback = content.pop(AGREEMENT, None), content.pop(FEEDBACK, None)  # not in older files
        if agreement is not None:
            self._calibration.restore(agreement)
        if feedback is not None:
            self._trust.restore(feedback)
        self._controller.restore(content)

    async def save_every(self, seconds: float) -> None:
        """Saves the state every `seconds` until cancelled."""
        while True:
            await anyio.sleep(seconds)
            await self.save()
