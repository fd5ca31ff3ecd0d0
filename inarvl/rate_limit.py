"""Limits how often something may happen, such as a line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """A token bucket that counts what it refuses.

    Args:
        burst: how many are allowed at once.
        every_s: seconds until another one is allowed.
    """

    def __init__(self, burst: int, every_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = float(burst)
        self._every_s = every_s
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()
        self._refused = 0

    def acquire(self) -> int | None:
        """Returns how many were refused since the last allowed one; None if this one is refused."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) / self._every_s)
        self._filled_at = now
        if self._tokens < 1.0:
            self._refused += 1
            return None
        self._tokens -= 1.0
        refused, self._refused = self._refused, 0
        return refused
