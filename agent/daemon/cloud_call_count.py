"""Keeps the count of cloud calls across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.answering.cloud_calls import CloudCalls
from agent.daemon.store import Store
from agent.reporting.events import Events


class CloudCallCount:
    """A count in a file, which each counted call writes.

    Attributes:
        calls: the count.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self.calls = CloudCalls(store.save)
        self._store = store
        self._events = events

    def restore(self) -> None:
        """Takes over the count of the last run; if its files are damaged, the calls of today are lost."""
        restored = False

        def accept(content: Mapping[str, Any]) -> None:
            nonlocal restored
            self.calls.restore(content)
            restored = True

        if self._store.load(accept) and not restored:
            self.calls.lose()
            message = "the count of cloud calls is lost: cameras with a limit are local until 00:00 UTC"
            self._events.error("cloud_calls_lost", message)
