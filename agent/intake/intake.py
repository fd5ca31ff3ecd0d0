"""Puts requests into the queue, from any front door.

A front door receives a query by its own protocol, reads it, and submits it as a `Request` whose `reply` sends
the answer back the same way. What the queue sheds is refused at once: every request gets exactly one reply.
"""

from __future__ import annotations

from agent.config.settings import Settings
from agent.intake.queue import RequestQueue
from agent.intake.request import Request
from agent.messages.query import Query


class Intake:
    """The one way into the queue.

    Args:
        settings: the section `intake` has the limits.
    """

    def __init__(self, queue: RequestQueue, settings: Settings) -> None:
        self._queue = queue
        self._limits = settings.intake

    @property
    def max_payload_bytes(self) -> int:
        """The largest query that a front door may accept."""
        return self._limits.max_payload_bytes

    def apply(self, settings: Settings) -> None:
        """Use new limits for the queries that arrive from now on."""
        self._limits = settings.intake

    def allowed_ms(self, query: Query | None, expiry_s: float | None = None) -> float:
        """Time that a query has from its arrival, in milliseconds.

        Args:
            query: None when it could not be read.
            expiry_s: an additional limit that its message carried.
        """
        asked_ms = None if query is None else query.deadline_ms
        allowed_ms = asked_ms or self._limits.default_deadline_ms
        return allowed_ms if expiry_s is None else min(allowed_ms, expiry_s * 1e3)

    async def submit(self, request: Request) -> None:
        """Queue a request; refuse it, or the one that it displaces, when not all can be answered in time."""
        shed = self._queue.offer(request)
        if shed is not None:
            refused, reason = shed
            await refused.refuse(reason)
