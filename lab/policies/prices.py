"""The prices of the arms: at first those of idle machines, then as observed."""

from __future__ import annotations

import numpy as np

from controller import Execution, LinkDefaults, LinkState, Weights
from controller.link import path_ms
from controller.rule import weighted
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix

RATE = 0.05  # weight of a new observation in the running average


def idle_prices(dataset: Dataset, profile: CostProfile) -> Matrix:
    """Returns each arm's mean weighted cost on idle machines and an undisturbed link; shape (arms,)."""
    prices = []
    for column, arm in enumerate(dataset.arms):
        latency_ms = float(dataset.compute_ms[:, column].mean())
        energy_j = profile.power.computing_w * latency_ms / 1e3
        if arm.tier == "cloud":
            nominal = profile.link
            link = LinkState(rtt_ms=nominal.rtt_ms, uplink_mbps=nominal.uplink_mbps, loss=nominal.loss)
            payload_bytes = float(dataset.payload_bytes[:, column].mean())
            latency_ms += sum(path_ms(link, int(payload_bytes), LinkDefaults()))
            energy_j = profile.power.waiting_w * latency_ms / 1e3
            energy_j += profile.power.sending_w_per_mbps * payload_bytes * 8e-6
        prices.append(
            weighted(profile.weights, latency_ms=latency_ms, energy_j=energy_j, calls=arm.tier == "cloud")
        )
    return np.array(prices)


class Prices:
    """Running averages of each arm's observed cost, starting at the idle prices."""

    def __init__(self, idle: Matrix, weights: Weights) -> None:
        self.now = idle.copy()
        self._weights = weights

    def learn(self, column: int, run: Execution, failure_s: float = 3.0) -> float:
        """Learns from an execution and returns its cost. A failure counts as `failure_s` of latency."""
        latency_ms = failure_s * 1e3 if run.latency_ms is None else run.latency_ms
        cost = weighted(
            self._weights,
            latency_ms=latency_ms,
            energy_j=run.energy_j or 0.0,
            calls=run.arm.tier == "cloud",
        )
        self.now[column] += RATE * (cost - self.now[column])
        return cost
