"""How long replies take to be sent."""

from __future__ import annotations

GAIN, DEVIATION_GAIN, DEVIATIONS = 1 / 8, 1 / 4, 4.0  # as TCP has them for its timeout (RFC 6298)
LEAST_S = 0.02
LONGEST_S = 1.0  # that is learned from: a broker that is away tells nothing of the others
MOST_SHARE = 0.25  # of a question's time that is kept back for its reply


class ReplyTime:
    """Estimates what nearly every reply takes, from being known to being with the broker, in seconds."""

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._deviation_s = 0.0

    def took(self, seconds: float) -> None:
        """Take in how long one took."""
        error = min(seconds, LONGEST_S) - self._mean_s
        self._deviation_s += DEVIATION_GAIN * (abs(error) - self._deviation_s)
        self._mean_s += GAIN * error

    def reserve_s(self, allowed_s: float) -> float:
        """What to keep back of the `allowed_s` that a question has in all."""
        needed_s = max(LEAST_S, self._mean_s + DEVIATIONS * self._deviation_s)
        return min(needed_s, MOST_SHARE * allowed_s)
