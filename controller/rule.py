"""The two rules: which arm to ask first, and whether to keep what it says."""

from __future__ import annotations

import math
from typing import Final

from controller.confidence import centre
from controller.settings import Weights

# Nodes and weights of 7-point Gauss-Hermite quadrature for a standard normal.
NODES: Final = (-3.7504397, -2.3667594, -1.1544054, 0.0, 1.1544054, 2.3667594, 3.7504397)
MASSES: Final = (
    0.0005482689,
    0.0307571240,
    0.2401231786,
    0.4571428571,
    0.2401231786,
    0.0307571240,
    0.0005482689,
)


def weighted(weights: Weights, *, latency_ms: float, energy_j: float, calls: int) -> float:
    """w_latency * latency + w_energy * energy + w_money * paid calls."""
    return (
        weights.latency_per_s * latency_ms / 1e3
        + weights.energy_per_j * energy_j
        + weights.money_per_call * calls
    )


def keeps(lam: float, loss: float, remaining_cost: float) -> bool:
    """The escalate rule: keep an answer iff what keeping loses is worth no more than asking the cloud."""
    return lam * loss <= remaining_cost


def after_answer(
    lam: float, net: float, differ: float, spread: float, remaining_cost: float
) -> tuple[float, float]:
    """What is still to come once an arm has answered: its expected cost, and how likely it is escalated.

    The escalate rule will take the lesser of lam * loss and `remaining_cost`, told apart by a confidence
    that is not known yet. Its logit is taken as normal with variance `spread` around the value at which the
    answer differs with probability `differ` on average; so the cost is E[min(lam * net * sigmoid(z),
    remaining_cost)].
    This is what a cascade is worth before it runs: near `remaining_cost` when the answer will surely be
    escalated, so that asking the cloud at once is then cheaper by the arm's own cost.
    """
    mean, deviation = centre(differ, spread), math.sqrt(spread)
    worth = lam * net
    expected = sum(
        mass * min(worth / (1.0 + math.exp(-mean - deviation * node)), remaining_cost)
        for node, mass in zip(NODES, MASSES, strict=True)
    )
    if worth <= remaining_cost:
        return expected, 0.0
    share = remaining_cost / worth
    threshold = math.log(share / (1.0 - share)) if share > 0 else -math.inf
    return expected, 0.5 * math.erfc((threshold - mean) / (deviation * math.sqrt(2.0)))
