"""The simulated board: it computes one answer at a time, slower under load, at low clocks and when hot."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from controller import DeviceState
from lab.sim.cost_profile import CostProfile
from lab.sim.workload import Workload

K_PER_W: Final = 6.0  # thermal resistance of a module on a passive heat sink; an estimate
TIME_CONSTANT_S: Final = 60.0
THROTTLE_C, RELEASE_C = 85.0, 80.0
THROTTLED_CLOCK: Final = 0.5
SAVED_AT_HALF_CLOCK: Final = 0.45  # share of the computing power; an estimate


class LocalRun(NamedTuple):
    """One answer that the board computes: when it ends, in s, its times and its energy."""

    ends: float
    queue_ms: float
    compute_ms: float
    energy_j: float


class SimulatedBoard:
    """A queue in front of one model server, and the board's temperature.

    The temperature follows dT/dt = (ambient + K_PER_W * power - T) / TIME_CONSTANT_S, solved exactly for
    each interval of constant power.
    """

    def __init__(self, workload: Workload) -> None:
        self.queue = 0
        self._workload = workload
        self._profile: CostProfile = workload.profile
        self._free_at = 0.0
        self._time = 0.0
        self._temp_c = workload.conditions(0.0).ambient_c + K_PER_W * workload.profile.power.idle_w
        self._throttled = False

    def run(self, now: float, compute_ms: float) -> LocalRun:
        """Queues a request that needs `compute_ms` on an idle board at full clock."""
        start = max(now, self._free_at)
        self._update_temperature(start, self._profile.power.idle_w)
        conditions = self._workload.conditions(start)
        clock = conditions.clock * (THROTTLED_CLOCK if self._throttled else 1.0)
        compute_s = compute_ms / 1e3 / clock / (1.0 - conditions.other_gpu)
        power_w = self._computing_w(clock)
        self._free_at = start + compute_s
        self._update_temperature(self._free_at, power_w)
        self.queue += 1
        return LocalRun(self._free_at, (start - now) * 1e3, compute_s * 1e3, power_w * compute_s)

    def state(self, now: float) -> DeviceState:
        """Returns the sensor readings, which are updated once a second."""
        read_at = math.floor(now)
        self._update_temperature(now, self._profile.power.idle_w)
        conditions = self._workload.conditions(read_at)
        return DeviceState(
            cpu_load=0.2,
            gpu_load=conditions.other_gpu,
            temp_c=self._temp_c,
            clock_ratio=conditions.clock * (THROTTLED_CLOCK if self._throttled else 1.0),
            throttled=self._throttled,
        )

    def _computing_w(self, clock: float) -> float:
        power = self._profile.power
        return power.idle_w + (power.computing_w - power.idle_w) * (
            1.0 - SAVED_AT_HALF_CLOCK * (1.0 - clock) / 0.5
        )

    def _update_temperature(self, until: float, power_w: float) -> None:
        elapsed = until - self._time
        if elapsed <= 0:
            return
        target = self._workload.conditions(self._time).ambient_c + K_PER_W * power_w
        self._temp_c = target + (self._temp_c - target) * math.exp(-elapsed / TIME_CONSTANT_S)
        self._time = until
        self._throttled = self._temp_c > (RELEASE_C if self._throttled else THROTTLE_C)
