"""The prices of the arms: at first those of idle machines, then as observed."""

from __future__ import annotations

import numpy as np

from controller import Arm, Execution, LinkState
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix
from lab.sim.link_path import path_ms

RATE = 0.05  # weight of a new observation in the running average


def idle_prices(dataset: Dataset, profile: CostProfile) -> Matrix:
    """Returns each arm's mean weighted cost on idle machines and an undisturbed link; shape (arms,)."""
    compute_ms, payload_bytes = dataset.compute_ms.mean(axis=0), dataset.payload_bytes.mean(axis=0)
    nominal = profile.link
    link = LinkState(rtt_ms=nominal.rtt_ms, uplink_mbps=nominal.uplink_mbps, loss=nominal.loss)
    return np.array(
        [
            idle_price(arm, profile, compute_ms=ms, payload_bytes=int(size), link=link)
            for arm, ms, size in zip(dataset.arms, compute_ms.tolist(), payload_bytes.tolist(), strict=True)
        ]
    )


def idle_price(
    arm: Arm, profile: CostProfile, *, compute_ms: float, payload_bytes: int, link: LinkState
) -> float:
    """Returns the weighted cost of an answer on idle machines, over a link as it was measured."""
    power = profile.power
    if arm.tier == "local":
        return profile.cost(latency_ms=compute_ms, energy_j=power.computing_w * compute_ms / 1e3, calls=False)
    path = path_ms(
        rtt_ms=link.rtt_ms or profile.link.rtt_ms,
        uplink_mbps=link.uplink_mbps or profile.link.uplink_mbps,
        loss=link.loss or 0.0,
        payload_bytes=payload_bytes,
    )
    latency_ms = compute_ms + sum(path)
    energy_j = power.waiting_w * latency_ms / 1e3 + power.sending_w_per_mbps * payload_bytes * 8e-6
    return profile.cost(latency_ms=latency_ms, energy_j=energy_j, calls=True)


def observed_cost(run: Execution, profile: CostProfile) -> float:
    """Returns the weighted cost of an execution. A failure without a latency counts as the timeout."""
    latency_ms = profile.timeout_ms if run.latency_ms is None else run.latency_ms
    return profile.cost(latency_ms=latency_ms, energy_j=run.energy_j or 0.0, calls=run.arm.tier == "cloud")


class Prices:
    """Running averages of each arm's observed cost, starting at the idle prices."""

    def __init__(self, idle: Matrix, profile: CostProfile) -> None:
        self.now = idle.copy()
        self._profile = profile

    def learn(self, column: int, run: Execution) -> float:
        """Learns from an execution and returns its cost."""
        cost = observed_cost(run, self._profile)
        self.now[column] += RATE * (cost - self.now[column])
        return cost
