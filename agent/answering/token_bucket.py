"""Limits extra calls (hedges, retries) to a share of the ordinary ones."""

from __future__ import annotations


class TokenBucket:
    """A token bucket: an ordinary call adds a fraction of a token, an extra call uses one.

    Hedges and retries have separate buckets. When all servers are slow or failing, extra calls stay at
    `share` of the load instead of doubling it.

    Args:
        share: tokens that an ordinary call adds.
        burst: maximum number of tokens, and their number at the start.
    """

    def __init__(self, share: float, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._tokens = burst

    def fill(self) -> None:
        """Counts an ordinary call."""
        self._tokens = min(self._burst, self._tokens + self._share)

    def spend(self) -> bool:
        """Uses one token for an extra call; returns False if there is none."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
