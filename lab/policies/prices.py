"""What arms cost: known at rest, then as observed."""

from __future__ import annotations

import numpy as np

from controller.context import LinkState
from controller.link import path_ms
from controller.outcome import Execution
from controller.rule import weighted
from controller.settings import LinkDefaults, Weights
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix

RATE = 0.05


def prices_at_rest(dataset: Dataset, profile: CostProfile) -> Matrix:
    """Weighted cost of each arm on idle machines and an undisturbed link, on average; shape (arms,)."""
    prices = []
    for column, arm in enumerate(dataset.arms):
        latency_ms = float(dataset.compute_ms[:, column].mean())
        energy_j = profile.power.computing_w * latency_ms / 1e3
        if arm.tier == "cloud":
            path = profile.path
            link = LinkState(rtt_ms=path.rtt_ms, uplink_mbps=path.uplink_mbps, loss=path.loss)
            payload_bytes = float(dataset.payload_bytes[:, column].mean())
            latency_ms += sum(path_ms(link, int(payload_bytes), LinkDefaults()))
            energy_j = profile.power.waiting_w * latency_ms / 1e3
            energy_j += profile.power.sending_w_per_mbps * payload_bytes * 8e-6
        prices.append(
            weighted(profile.weights, latency_ms=latency_ms, energy_j=energy_j, calls=arm.tier == "cloud")
        )
    return np.array(prices)


class Prices:
    """Running averages of each arm's observed cost, begun at what it is at rest."""

    def __init__(self, at_rest: Matrix, weights: Weights) -> None:
        self.now = at_rest.copy()
        self._weights = weights

    def learn(self, column: int, run: Execution, failure_s: float = 3.0) -> float:
        """Take in a run; returns its cost. A failed one costs `failure_s` of latency."""
        latency_ms = failure_s * 1e3 if run.latency_ms is None else run.latency_ms
        cost = weighted(
            self._weights,
            latency_ms=latency_ms,
            energy_j=run.energy_j or 0.0,
            calls=run.arm.tier == "cloud",
        )
        self.now[column] += RATE * (cost - self.now[column])
        return cost
