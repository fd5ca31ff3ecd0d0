"""Attributes the board's energy to requests, from samples of its power.

1. A sample applies to the time since the sample before it. A gap of more than MAX_GAP_INTERVALS sampling
   intervals counts as not measured, and so does a request that runs during the gap.
2. The energy of each interval is divided: `idle_w` times its length is idle energy. The rest is divided
   between the requests that run in the interval, in proportion to running time times weight: a request with
   twice the weight gets twice the energy. If no request runs, it is other energy, used by other programs.
3. `idle_w` is the mean power, over about the last IDLE_MEMORY_S, while there was no request for SETTLE_S.
   Before it is measured, it is the profile's.

So answers + idle + other = total, always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_GAP_INTERVALS = 5.0
SETTLE_S = 2.0
IDLE_MEMORY_S = 60.0
MAX_UNSAMPLED_SHARE = 0.05  # of a request's time: the part after the last sample


@dataclass
class Window:
    """The running time of a request, and the energy attributed to it so far.

    Attributes:
        weight: the power it is expected to use, relative to other requests, in watts.
        began, ended: in seconds.
        joules: energy so far.
        measured: whether samples cover all of it.
    """

    weight: float
    began: float
    ended: float | None = None
    joules: float = 0.0
    measured: bool = True


@dataclass(frozen=True)
class Totals:
    """Energy since the start in joules: the total, and its parts."""

    total_j: float = 0.0
    answers_j: float = 0.0
    idle_j: float = 0.0
    other_j: float = 0.0


class EnergyMeter:
    """Divides the board's energy between requests, idle energy and other energy.

    Args:
        idle_w: idle power of the board, until it is measured.
        interval_s: seconds between samples.
    """

    def __init__(self, *, idle_w: float, interval_s: float) -> None:
        self._idle_w = idle_w
        self._max_gap_s = MAX_GAP_INTERVALS * interval_s
        self._idle_measured_s = 0.0
        self._sampled_at: float | None = None
        self._windows: list[Window] = []
        self._settled_at = 0.0
        self._total_j = self._answers_j = self._idle_j = self._other_j = 0.0

    @property
    def idle_w(self) -> float:
        """The present estimate of the idle power."""
        return self._idle_w

    @property
    def totals(self) -> Totals:
        """The energy so far, by its parts."""
        return Totals(self._total_j, self._answers_j, self._idle_j, self._other_j)

    def restart_idle(self, idle_w: float) -> None:
        """Measures the idle power anew, which is `idle_w` until then: the power mode has changed."""
        self._idle_w = idle_w
        self._idle_measured_s = 0.0

    def begin(self, *, weight: float, now: float) -> Window:
        """Starts the window of a request."""
        sampled = self._sampled_at is not None and now - self._sampled_at <= self._max_gap_s
        window = Window(max(weight, 1e-3), now, measured=sampled)
        self._windows.append(window)
        return window

    def end(self, window: Window, *, now: float, resolution_s: float) -> float | None:
        """Ends the window of a request.

        The last sample should be as late as `now`: energy after it counts as other energy.

        Args:
            resolution_s: the shortest time over which the samples are accurate.

        Returns:
            The request's energy above idle in joules; None if the samples do not cover it.
        """
        window.ended = now
        self._windows.remove(window)
        self._settled_at = now + SETTLE_S
        self._answers_j += max(0.0, window.joules)
        self._other_j += min(0.0, window.joules)
        length_s = now - window.began
        unsampled_s = math.inf if self._sampled_at is None else now - self._sampled_at
        covered = unsampled_s <= max(resolution_s, MAX_UNSAMPLED_SHARE * length_s)
        if window.measured and covered and length_s >= resolution_s:
            return max(0.0, window.joules)
        return None

    def observe(self, at: float, power_w: float) -> None:
        """Records a sample of the board's power at the time `at`."""
        before, self._sampled_at = self._sampled_at, at
        if before is None or at <= before:
            return
        length_s = at - before
        if length_s > self._max_gap_s:
            for window in self._windows:
                window.measured = False
            return
        energy_j, idle_j = power_w * length_s, self._idle_w * length_s
        self._total_j += energy_j
        self._idle_j += idle_j
        weights = [(window, window.weight * (at - max(before, window.began))) for window in self._windows]
        weights = [(window, weight) for window, weight in weights if weight > 0]
        sum_of_weights = sum(weight for _, weight in weights)
        for window, weight in weights:
            window.joules += (energy_j - idle_j) * weight / sum_of_weights
        if not weights:
            self._other_j += energy_j - idle_j
            if before >= self._settled_at:
                self._update_idle(power_w, length_s)

    def _update_idle(self, power_w: float, length_s: float) -> None:
        self._idle_measured_s = min(self._idle_measured_s + length_s, IDLE_MEMORY_S)
        self._idle_w += length_s / self._idle_measured_s * (power_w - self._idle_w)
