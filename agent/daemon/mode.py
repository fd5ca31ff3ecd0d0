"""The mode in force: whether the board, the cloud or both may answer.

It is kept on the disk: a site that has told its agent to send nothing away must not find that a restart
undid it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, get_args

import anyio
from anyio import to_thread

from agent.answering.answering import Answering
from agent.daemon.store import Store, StoreFailed
from agent.messages.mqtt import MqttConnection
from agent.messages.topics import Topics
from agent.reporting.events import Events
from controller.context import Mode
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class BadMode(InarvlError):
    """A word that names no mode."""

    code = "bad_mode"


class ModeSwitch:
    """Sets the mode of an `Answering`, and tells of it."""

    def __init__(
        self, answering: Answering, store: Store, link: MqttConnection, topics: Topics, events: Events
    ) -> None:
        self._answering = answering
        self._store = store
        self._link = link
        self._topics = topics
        self._events = events
        self._saving = anyio.Lock()

    def restore(self) -> list[Path]:
        """Take up the mode of the run before; where files that were no good were set aside."""

        def take(content: dict[str, Any]) -> None:
            self._answering.mode = _mode(str(content["mode"]))

        return self._store.load(take)

    def tell(self) -> None:
        """Publish the mode, retained."""
        self._link.post(self._topics.mode_state, self._answering.mode, retain=True)

    async def take(self, payload: bytes) -> None:
        """Set the mode that a message names, at once; returns when it stands on the disk, or cannot."""
        try:
            self._answering.mode = _mode(payload.decode(errors="replace").strip())
        except BadMode as error:
            log.warning("%s", error)
            self._events.error(error.code, str(error))
            return
        self.tell()
        self._events.tell("mode", mode=self._answering.mode)
        async with self._saving:
            try:
                await to_thread.run_sync(self._store.save, {"mode": self._answering.mode})
            except StoreFailed as error:
                log.error("%s", error)
                self._events.error(error.code, f"the mode holds until the agent restarts: {error}")


def _mode(word: str) -> Mode:
    for mode in get_args(Mode):
        if mode == word:
            return mode  # type: ignore[no-any-return]
    raise BadMode(f"mode {word[:40]!r} is not known: use {', '.join(get_args(Mode))}")
