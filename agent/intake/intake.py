"""Puts requests into the queue, from any front door.

A front door receives queries over one protocol and submits each as a `Request`, whose `reply` sends the
answer back over the same protocol. A request that the queue sheds is refused immediately: every request gets
exactly one reply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.config.settings import Settings
from agent.intake.client_rules import ClientRules
from agent.intake.queue import RequestQueue
from agent.intake.request import Request
from agent.messages.query import Query
from agent.messages.reply import Reply


@dataclass(frozen=True)
class TimeLimit:
    """The time that a query has.

    Attributes:
        allowed_ms: from when it was asked.
        left_ms: from now; not above 0 if it has expired.
    """

    allowed_ms: float
    left_ms: float


class Intake:
    """Checks requests against the queue's limits and queues or refuses them.

    Attributes:
        replied: called with each reply to a query whose sender waits for it.

    Args:
        settings: its sections `intake` and `clients` have the limits.
    """

    def __init__(self, queue: RequestQueue, settings: Settings) -> None:
        self.replied: Callable[[Reply], None] = lambda _reply: None
        self._queue = queue
        self._limits = settings.intake
        self._clients = ClientRules(settings.clients)

    @property
    def max_payload_bytes(self) -> int:
        """Size of the largest query that a front door may accept."""
        return self._limits.max_payload_bytes

    @property
    def max_images(self) -> int:
        """Number of images that a query may have."""
        return self._limits.max_images

    @property
    def wait_s(self) -> float:
        """About how long the requests that wait now will wait, in seconds."""
        return self._queue.service_time.wait_s(len(self._queue))

    def apply(self, settings: Settings) -> None:
        """Applies the new limits to the queries that arrive from now on."""
        self._limits = settings.intake
        self._clients.apply(settings.clients)

    def time_limit(self, query: Query | None, *, now_s: float, expiry_s: float | None = None) -> TimeLimit:
        """Returns how much time a query that arrives now has left.

        Args:
            query: None if it could not be read.
            now_s: seconds since 1970. A query from the future has just been asked: clocks differ.
            expiry_s: what is left of the expiry interval of its message, which limits the time too.
        """
        requested_ms = None if query is None else query.deadline_ms
        allowed_ms = requested_ms or self._limits.default_deadline_ms
        asked_at = None if query is None else query.asked_at
        age_ms = 0.0 if asked_at is None else max(0.0, now_s - asked_at) * 1e3
        left_ms = allowed_ms - age_ms
        return TimeLimit(allowed_ms, left_ms if expiry_s is None else min(left_ms, expiry_s * 1e3))

    def admit(self, client: str, *, verified: bool, request: Request | None) -> None:
        """Counts a query that arrives now; a front door does this before it stores anything.

        Args:
            verified: the front door knows that it is this client; otherwise the name is only a claim.
            request: None if the query is invalid.

        Raises:
            TooOften: the client asks more often than the site file allows.
            Shed: not all can be answered in time, and this one would be refused.
        """
        self._clients.admit(client, verified=verified)
        refusal = None if request is None else self._queue.refusal(self._clients.ranked(request))
        if refusal is not None:
            raise refusal

    def withdraw(self, request: Request) -> bool:
        """Removes a waiting request whose sender is gone; False if a worker has it, or it has its reply."""
        return self._queue.withdraw(request.key)

    async def submit(self, request: Request) -> None:
        """Queues `request`; if not all can be answered in time, refuses it or the one that it displaces."""
        shed = self._queue.offer(self._clients.ranked(request))
        if shed is not None:
            refused, reason = shed
            await refused.refuse(reason)
