"""Limits the memory that requests use from their arrival to their reply.

Queries over HTTP are not on disk while they wait. One client has at most half of the memory and of the
requests: what it sends beyond that takes nothing from others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from agent.http.errors import HttpError

MAX_BYTES = 128 * 2**20
MAX_REQUESTS = 384  # fewer than connections, so that some are left for health and metrics
SHARE = 2
RETRY_S = 1.0


class WaitingBytes:
    """Counts the bytes and the requests of each client.

    Args:
        max_bytes, max_requests: of all clients together.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_requests: int = MAX_REQUESTS) -> None:
        self._max_bytes = max_bytes
        self._max_requests = max_requests
        self._bytes: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()

    @contextmanager
    def of(self, client: str, size: int) -> Iterator[None]:
        """Counts a request of `size` bytes while the block runs.

        Raises:
            HttpError: the client, or all clients together, use the whole limit. A client whose only request
                this is may exceed its half.
        """
        own = self._requests[client]
        limits = (
            (self._bytes[client] + size, self._max_bytes // SHARE, own > 0),
            (own + 1, self._max_requests // SHARE, own > 0),
            (self._bytes.total() + size, self._max_bytes, True),
            (self._requests.total() + 1, self._max_requests, True),
        )
        if any(applies and needed > most for needed, most, applies in limits):
            message = "too many or too large requests wait already: ask later, or send smaller images"
            raise HttpError("busy", message, retry_after_s=RETRY_S)
        self._bytes[client] += size
        self._requests[client] += 1
        try:
            yield
        finally:
            self._bytes[client] -= size
            self._requests[client] -= 1
            if not self._requests[client]:
                del self._bytes[client], self._requests[client]
