"""The mode: whether the board, the cloud or both may answer.

It is stored on disk: if the mode is set to `local`, so that no image leaves the board, a restart must not
change that.
"""

from __future__ import annotations

import logging
from typing import Any, get_args

import anyio
from anyio import to_thread

from agent.answering.answering import Answering
from agent.daemon.store import Store, StoreFailed
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.topics import Topics
from agent.reporting.events import Events
from controller import Mode
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)


class BadMode(InarvlError):
    """A message names a mode that does not exist."""

    code = "bad_mode"


class ModeSwitch:
    """Sets, stores and publishes the mode of an `Answering`."""

    def __init__(
        self, answering: Answering, store: Store, mqtt: MqttConnection, topics: Topics, events: Events
    ) -> None:
        self._answering = answering
        self._store = store
        self._mqtt = mqtt
        self._topics = topics
        self._events = events
        self._saving = anyio.Lock()

    def restore(self) -> None:
        """Sets the mode of the last run; reports damaged files."""

        def accept(content: dict[str, Any]) -> None:
            self._answering.mode = _mode(str(content["mode"]))

        for bad in self._store.load(accept):
            message = f"the mode may not be the one last set: its file was damaged (now {bad}); set it again"
            self._events.error("mode_damaged", message)

    def publish(self) -> None:
        """Publishes the mode, retained."""
        self._mqtt.post(self._topics.mode_state, self._answering.mode, retain=True)

    async def receive(self, payload: bytes) -> None:
        """Sets the mode that `payload` names, then stores it; reports an unknown mode or a failed write."""
        try:
            await self.set(payload.decode(errors="replace").strip())
        except BadMode as error:
            log.warning("%s", error)
            self._events.error(error.code, str(error))

    async def set(self, word: str) -> None:
        """Sets the mode, then stores it; reports a failed write.

        Raises:
            BadMode: there is no such mode.
        """
        self._answering.mode = _mode(word)
        self.publish()
        self._events.publish("mode", mode=self._answering.mode)
        async with self._saving:
            try:
                await to_thread.run_sync(self._store.save, {"mode": self._answering.mode})
            except StoreFailed as error:
                log.error("%s", error)
                self._events.error(error.code, f"the mode is lost when the agent restarts: {error}")


def _mode(word: str) -> Mode:
    for mode in get_args(Mode):
        if mode == word:
            return mode  # type: ignore[no-any-return]
    raise BadMode(f"mode {word[:40]!r} is not known: use {', '.join(get_args(Mode))}")
