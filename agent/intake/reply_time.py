"""Estimates the time from reply to PUBACK (RFC 6298), which is subtracted from deadlines."""

from __future__ import annotations

from agent.smoothing import Smoothed

DEVIATIONS = 4.0  # K of RFC 6298
MIN_S = 0.02
MAX_SAMPLE_S = 1.0  # an unreachable broker must not decide the estimate for the time after
MAX_SHARE = 0.25  # of a query's time that may be reserved for its reply


class ReplyTime:
    """How long nearly every reply needs until the broker has acknowledged it, in seconds."""

    def __init__(self) -> None:
        self._time_s = Smoothed(mean=0.0)

    def observe(self, seconds: float) -> None:
        """Learn from one reply that needed `seconds`."""
        self._time_s.observe(min(seconds, MAX_SAMPLE_S))

    def reserve_s(self, allowed_s: float) -> float:
        """Seconds to reserve of the `allowed_s` that a query has from arrival to acknowledged reply."""
        mean_s = self._time_s.mean or 0.0
        needed_s = max(MIN_S, mean_s + DEVIATIONS * self._time_s.deviation)
        return min(needed_s, MAX_SHARE * allowed_s)
