"""Limits extra calls (hedges, retries) to a share of the ordinary ones."""

from __future__ import annotations


class TokenBucket:
    """A token bucket that every ordinary call fills by `share`, up to `burst` tokens; an extra call costs
    one.

    Hedges and retries each have a bucket of their own. When everything is slow or failing at once, extra
    calls stay at `share` of the load instead of doubling it.
    """

    def __init__(self, share: float, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._tokens = burst

    def fill(self) -> None:
        """Count an ordinary call."""
        self._tokens = min(self._burst, self._tokens + self._share)

    def spend(self) -> bool:
        """Use one token for an extra call; False when there is none."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
