"""The simulated uplink and the cloud server behind it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from lab.sim.workload import Workload


@dataclass(frozen=True)
class Transmission:
    """A request that was sent to the cloud.

    Attributes:
        ends: when it arrives at the server, or when it times out if `lost`; in s.
        return_s: time that the answer needs back to the board.
        energy_j: energy that the radio spends on sending.
    """

    ends: float
    return_s: float
    energy_j: float
    lost: bool


class SimulatedCloud:
    """An uplink that sends one payload after the other, and a server with a fixed number of slots."""

    def __init__(self, workload: Workload) -> None:
        self.queue = 0
        self._workload = workload
        self._link_free_at = 0.0
        self._slots_free_at = [0.0] * workload.profile.slots

    def send(self, now: float, payload_bytes: int, noise: float) -> Transmission:
        """Sends a request; if the cloud cannot be reached, the request is lost and times out.

        Args:
            noise: factor on the times of the link.
        """
        profile = self._workload.profile
        self.queue += 1
        start = max(now, self._link_free_at)
        rtt_ms, sending_ms = self._workload.true_path(start, payload_bytes)
        sending_s, rtt_s = sending_ms * noise / 1e3, rtt_ms * noise / 1e3
        if profile.offline or self._workload.conditions(start).down:
            return Transmission(now + profile.timeout_ms / 1e3, 0.0, 0.0, lost=True)
        self._link_free_at = start + sending_s
        energy_j = profile.power.sending_w_per_mbps * payload_bytes * 8e-6  # W per Mbit/s is J per Mbit
        return Transmission(start + sending_s + rtt_s / 2, rtt_s / 2, energy_j, lost=False)

    def serve(self, now: float, compute_ms: float) -> tuple[float, float]:
        """Serves a request that has arrived.

        Returns:
            When it ends, in s, and how long it waits for a slot, in ms.
        """
        start = max(now, heapq.heappop(self._slots_free_at))
        ends = start + compute_ms / 1e3
        heapq.heappush(self._slots_free_at, ends)
        return ends, (start - now) * 1e3
