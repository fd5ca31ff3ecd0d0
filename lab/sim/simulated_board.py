"""The simulated board: one model at a time, slower under load, at low clocks and when hot."""

from __future__ import annotations

import math
from typing import Final

from controller.context import DeviceState
from lab.sim.cost_profile import CostProfile
from lab.sim.workload import Stream

K_PER_W: Final = 6.0  # of a module on a passive heat sink; an estimate
WARMING_S: Final = 60.0
THROTTLE_C, RELEASE_C = 85.0, 80.0
THROTTLED: Final = 0.5  # clock while throttled
SAVED: Final = 0.45  # share of the computing power that a halved clock saves; an estimate


class Board:
    """A queue in front of one model server, and the heat that it makes.

    The temperature follows dT/dt = (ambient + K_PER_W * power - T) / WARMING_S, solved piecewise.
    """

    def __init__(self, stream: Stream) -> None:
        self.queue = 0
        self._stream = stream
        self._profile: CostProfile = stream.profile
        self._free_at = 0.0
        self._time = 0.0
        self._temp_c = stream.conditions(0.0).ambient_c + K_PER_W * stream.profile.power.idle_w
        self._throttled = False

    def run(self, now: float, compute_ms: float) -> tuple[float, float, float, float]:
        """Take a request: when it ends, its queueing and computing time in ms, and its energy in J."""
        start = max(now, self._free_at)
        self._warm(start, self._profile.power.idle_w)
        conditions = self._stream.conditions(start)
        clock = conditions.clock * (THROTTLED if self._throttled else 1.0)
        took_s = compute_ms / 1e3 / clock / (1.0 - conditions.other_gpu)
        power_w = self._computing_w(clock)
        self._free_at = start + took_s
        self._warm(self._free_at, power_w)
        self.queue += 1
        return self._free_at, (start - now) * 1e3, took_s * 1e3, power_w * took_s

    def state(self, now: float) -> DeviceState:
        """What the board's sensors say, once a second."""
        sensed = math.floor(now)
        self._warm(now, self._profile.power.idle_w)
        conditions = self._stream.conditions(sensed)
        return DeviceState(
            cpu_load=0.2,
            gpu_load=conditions.other_gpu,
            temp_c=self._temp_c,
            clock_ratio=conditions.clock * (THROTTLED if self._throttled else 1.0),
            throttled=self._throttled,
        )

    def _computing_w(self, clock: float) -> float:
        power = self._profile.power
        return power.idle_w + (power.computing_w - power.idle_w) * (1.0 - SAVED * (1.0 - clock) / 0.5)

    def _warm(self, until: float, power_w: float) -> None:
        passed = until - self._time
        if passed <= 0:
            return
        target = self._stream.conditions(self._time).ambient_c + K_PER_W * power_w
        self._temp_c = target + (self._temp_c - target) * math.exp(-passed / WARMING_S)
        self._time = until
        self._throttled = self._temp_c > (RELEASE_C if self._throttled else THROTTLE_C)
