"""The simulated link and the cloud behind it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from lab.sim.workload import Stream


@dataclass(frozen=True)
class Sent:
    """A request on its way: when it arrives, or fails, and what sending it took."""

    arrives: float
    back_s: float
    sending_s: float
    energy_j: float
    lost: bool


class Cloud:
    """An uplink that carries one payload after the other, and a server that answers some at once."""

    def __init__(self, stream: Stream) -> None:
        self.queue = 0
        self._stream = stream
        self._link_free_at = 0.0
        self._slots = [0.0] * stream.profile.slots

    def send(self, now: float, payload_bytes: int, noise: float) -> Sent:
        """Push a request out; when the cloud cannot be reached it fails at the profile's timeout."""
        profile = self._stream.profile
        self.queue += 1
        start = max(now, self._link_free_at)
        rtt_ms, sending_ms = self._stream.true_path(start, payload_bytes)
        sending_s, rtt_s = sending_ms * noise / 1e3, rtt_ms * noise / 1e3
        if profile.offline or self._stream.conditions(start).down:
            return Sent(now + profile.timeout_ms / 1e3, 0.0, 0.0, 0.0, lost=True)
        self._link_free_at = start + sending_s
        energy_j = profile.power.sending_w_per_mbps * payload_bytes * 8e-6  # W per Mbit/s is J per Mbit
        return Sent(start + sending_s + rtt_s / 2, rtt_s / 2, sending_s, energy_j, lost=False)

    def serve(self, now: float, compute_ms: float) -> tuple[float, float]:
        """Serve a request that has arrived: when that ends, and how long it waited for a slot, in ms."""
        start = max(now, heapq.heappop(self._slots))
        ends = start + compute_ms / 1e3
        heapq.heappush(self._slots, ends)
        return ends, (start - now) * 1e3
