"""Extra calls, held to a share of the calls there are, so that trouble is never multiplied."""

from __future__ import annotations


class TokenBucket:
    """A token bucket that every ordinary call fills by `share`, up to `burst` extra calls.

    Hedges and retries each spend from one of their own: when everything is slow or failing at once, extra
    calls stay at `share` of the load instead of doubling it.
    """

    def __init__(self, share: float, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._held = burst

    def earn(self) -> None:
        """An ordinary call is made."""
        self._held = min(self._burst, self._held + self._share)

    def spend(self) -> bool:
        """Whether an extra call may be made; it is then accounted for."""
        if self._held < 1.0:
            return False
        self._held -= 1.0
        return True
