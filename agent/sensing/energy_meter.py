"""Energy of requests out of samples of the board's power.

1. A sample stands for the time since the one before it. A gap of more than GAPS sampling times is not filled
   in: it is not measured, and neither is a request that was running in it.
2. Of each such stretch, `idle_w` times its length is idle. What is above that belongs to the requests that
   ran in it, in proportion to the time each ran times its weight; a request that ran for all of it and draws
   twice as much takes twice as much. Where none ran it is the rest: whatever else the board does.
3. `idle_w` is the mean power while nothing was asked for SETTLE_S, over about IDLE_S; until then it is the
   profile's.

So answers + idle + rest = total, always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GAPS = 5.0
SETTLE_S = 2.0
IDLE_S = 60.0
UNCOVERED = 0.05  # share of a request that may have come after the last sample


@dataclass
class Window:
    """A request's time of running, and what has been given to it so far, in joules.

    Attributes:
        weight: what it is expected to draw against others, in watts.
        measured: whether samples covered all of it.
    """

    weight: float
    began: float
    ended: float | None = None
    joules: float = 0.0
    measured: bool = True


@dataclass(frozen=True)
class Totals:
    """Joules since the start: of all samples, and how they were parted."""

    total_j: float = 0.0
    answers_j: float = 0.0
    idle_j: float = 0.0
    rest_j: float = 0.0


class EnergyMeter:
    """Parts the board's energy between the requests, idling and the rest.

    Args:
        idle_w: what the board draws when nothing is asked, until that has been measured.
        every_s: seconds between samples.
    """

    def __init__(self, *, idle_w: float, every_s: float) -> None:
        self._idle_w = idle_w
        self._gap_s = GAPS * every_s
        self._idle_seen_s = 0.0
        self._at: float | None = None
        self._windows: list[Window] = []
        self._settled_at = 0.0
        self._total_j = self._answers_j = self._idle_j = self._rest_j = 0.0

    @property
    def idle_w(self) -> float:
        """The power that counts as idle."""
        return self._idle_w

    @property
    def totals(self) -> Totals:
        """How the energy so far was parted."""
        return Totals(self._total_j, self._answers_j, self._idle_j, self._rest_j)

    def begin(self, *, weight: float, now: float) -> Window:
        """A request starts."""
        window = Window(
            max(weight, 1e-3), now, measured=self._at is not None and now - self._at <= self._gap_s
        )
        self._windows.append(window)
        return window

    def end(self, window: Window, *, now: float, resolution_s: float) -> float | None:
        """A request is over; joules above idle, or None when the samples do not cover it.

        `resolution_s` is the least time about which the samples say something. The last sample should be of
        now: what comes after it of the request is counted as the rest.
        """
        window.ended = now
        self._windows.remove(window)
        self._settled_at = now + SETTLE_S
        self._answers_j += max(0.0, window.joules)
        self._rest_j += min(0.0, window.joules)
        length_s = now - window.began
        tail_s = math.inf if self._at is None else now - self._at
        covered = tail_s <= max(resolution_s, UNCOVERED * length_s)
        if window.measured and covered and length_s >= resolution_s:
            return max(0.0, window.joules)
        return None

    def observe(self, at: float, power_w: float) -> None:
        """Take in a sample of the board's power, taken at the time `at`."""
        before, self._at = self._at, at
        if before is None or at <= before:
            return
        length_s = at - before
        if length_s > self._gap_s:
            for window in self._windows:
                window.measured = False
            return
        energy_j, idle_j = power_w * length_s, self._idle_w * length_s
        self._total_j += energy_j
        self._idle_j += idle_j
        shares = [(window, window.weight * (at - max(before, window.began))) for window in self._windows]
        shares = [(window, share) for window, share in shares if share > 0]
        whole = sum(share for _, share in shares)
        for window, share in shares:
            window.joules += (energy_j - idle_j) * share / whole
        if not shares:
            self._rest_j += energy_j - idle_j
            if before >= self._settled_at:
                self._learn_idle(power_w, length_s)

    def _learn_idle(self, power_w: float, length_s: float) -> None:
        self._idle_seen_s = min(self._idle_seen_s + length_s, IDLE_S)
        self._idle_w += length_s / self._idle_seen_s * (power_w - self._idle_w)
