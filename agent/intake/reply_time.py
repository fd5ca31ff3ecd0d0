"""Estimates the time from reply to PUBACK (RFC 6298), which is subtracted from deadlines."""

from __future__ import annotations

from agent.smoothing import Smoothed

DEVIATIONS = 4.0  # K of RFC 6298
MIN_S = 0.02
MAX_SAMPLE_S = 1.0  # so that one outage of the broker does not dominate the later estimate
MAX_SHARE = 0.25  # of a query's time that may be reserved for its reply


class ReplyTime:
    """Estimates how long nearly every reply needs until the broker has acknowledged it, in seconds."""

    def __init__(self) -> None:
        self._time_s = Smoothed(mean=0.0)

    def observe(self, seconds: float) -> None:
        """Records that a reply needed `seconds`."""
        self._time_s.observe(min(seconds, MAX_SAMPLE_S))

    def reserve_s(self, allowed_s: float) -> float:
        """Returns the seconds to reserve for the reply, out of the `allowed_s` from arrival to PUBACK."""
        mean_s = self._time_s.mean or 0.0
        needed_s = max(MIN_S, mean_s + DEVIATIONS * self._time_s.deviation)
        return min(needed_s, MAX_SHARE * allowed_s)
