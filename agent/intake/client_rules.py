"""Applies the limits of the site file to each client's queries."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from agent.config.client_settings import ClientLimits, limits_of
from agent.intake.request import Request
from agent.messages.query import DEFAULT_PRIORITY
from inarvl.errors import InarvlError
from inarvl.rate_limit import RateLimit

MAX_CLIENTS = 1024


class TooOften(InarvlError):
    """A client asks more often than the site file allows.

    Attributes:
        retry_after_s: seconds after which it may ask once more, on average.
    """

    code = "busy"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ClientRules:
    """The limits of each client, and how often it has asked.

    Args:
        clients: the section `clients` of the site file.
    """

    def __init__(
        self, clients: Mapping[str, ClientLimits], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, bool], RateLimit] = OrderedDict()

    def apply(self, clients: Mapping[str, ClientLimits]) -> None:
        """Applies new limits; every client may ask a whole burst again."""
        if clients != self._clients:
            self._clients = clients
            self._buckets.clear()

    def admit(self, client: str, *, verified: bool) -> None:
        """Counts a query that arrives now.

        Raises:
            TooOften: the client asks more often than the site file allows.
        """
        limits = limits_of(self._clients, client, verified=verified)
        if limits.per_minute is None:
            return
        bucket = self._buckets.setdefault(
            (client, verified), RateLimit(limits.burst, 60 / limits.per_minute, clock=self._clock)
        )
        self._buckets.move_to_end((client, verified))
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.acquire() is None:
            raise TooOften(
                f"this client may ask {limits.per_minute:g} times a minute: ask less often, or raise "
                "clients.<name>.per_minute in the site file",
                retry_after_s=60 / limits.per_minute,
            )

    def ranked(self, request: Request) -> Request:
        """Returns `request` with the priority that its client may have, and its weight among clients.

        A priority counts among clients only if the site file names this one. Otherwise every client would
        claim the highest.
        """
        query = request.query
        limits = limits_of(self._clients, query.client, verified=request.verified)
        priority = min(query.priority, limits.max_priority)
        if priority != query.priority:
            query = replace(query, priority=priority)
        named = request.verified and query.client in self._clients
        among_clients = priority if named else min(priority, DEFAULT_PRIORITY)
        return replace(request, query=query, weight=(1 + among_clients) / (1 + DEFAULT_PRIORITY))
