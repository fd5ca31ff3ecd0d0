"""Decides which QoS 1 messages may be published now, to find one at which the broker disconnects.

1. At most WINDOW messages are unacknowledged.
2. If the broker closes the connection, one of the unacknowledged messages may be the reason: all are
   suspects.
3. As long as there are suspects, they are published one at a time, and nothing else.
4. If the broker closes the connection again while only one suspect is unacknowledged, this one is convicted.
5. If the broker cannot be reached in between, it was down, and no message was the reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

WINDOW = 20


class Turns:
    """The messages that wait for their turn, and those that are unacknowledged."""

    def __init__(self) -> None:
        self._open: set[object] = set()
        self._suspects: set[object] = set()
        self._convicted: set[object] = set()
        self._changed = anyio.Event()

    @asynccontextmanager
    async def turn(self, message: object) -> AsyncIterator[None]:
        """Waits until `message` may be published; it is unacknowledged within the block."""
        while not self._may_start(message):
            await self._changed.wait()
        self._open.add(message)
        try:
            yield
        finally:
            self._open.discard(message)
            self._wake()

    def closed_by_broker(self) -> None:
        """Records that the broker closed the connection."""
        if len(self._open) == 1:
            self._convicted |= self._open & self._suspects
        self._suspects |= self._open

    def broker_down(self) -> None:
        """Records that the broker cannot be reached."""
        self._suspects.clear()
        self._wake()

    def is_convicted(self, message: object) -> bool:
        """Returns whether the broker disconnects at `message`."""
        return message in self._convicted

    def ended(self, message: object) -> None:
        """Forgets `message`, which is acknowledged or given up."""
        self._suspects.discard(message)
        self._convicted.discard(message)
        self._wake()

    def _may_start(self, message: object) -> bool:
        if self._suspects:
            return message in self._suspects and not self._open
        return len(self._open) < WINDOW

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
