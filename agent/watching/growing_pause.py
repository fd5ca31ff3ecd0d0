"""A pause that grows while something fails.

1. Each failure doubles the pause, up to a limit. It is jittered by a quarter, so that cameras that failed
   together are not tried together.
2. A success ends the failure. The pause stays in memory until as much time has passed without a failure:
   what fails every other time is not reported each time at the shortest pause.
"""

from __future__ import annotations

import math

import numpy as np

FIRST_S, MAX_S = 1.0, 300.0
JITTER = 0.25


class GrowingPause:
    """The failures of one camera, or of one question.

    Attributes:
        until: before this time nothing should be tried, in seconds on the caller's clock.
        failing: whether the last attempt failed.
    """

    def __init__(self, rng: np.random.Generator, *, first_s: float = FIRST_S, max_s: float = MAX_S) -> None:
        self.until = -math.inf
        self.failing = False
        self._rng = rng
        self._first_s = first_s
        self._max_s = max_s
        self._pause_s = 0.0

    def fail(self, now: float) -> bool:
        """Records a failure; returns whether it is the first one in a row."""
        if not self.failing and now > self.until + self._pause_s:
            self._pause_s = 0.0
        self._pause_s = min(self._max_s, max(self._first_s, 2 * self._pause_s))
        self.until = now + self._pause_s * float(self._rng.uniform(1 - JITTER, 1 + JITTER))
        first, self.failing = not self.failing, True
        return first

    def succeed(self) -> bool:
        """Records a success; returns whether it ends a failure."""
        ended, self.failing = self.failing, False
        return ended
