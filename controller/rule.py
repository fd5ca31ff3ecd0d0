"""The two rules: which arm to ask first, and whether to keep what it says."""

from __future__ import annotations

import math
from typing import Final, TypeVar

import numpy as np

from controller.beliefs import Vector
from controller.damage import Damage
from controller.logistic import centre, sigmoid
from controller.settings import Weights

# Nodes and weights of 7-point Gauss-Hermite quadrature for a standard normal.
NODES: Final = np.array(
    [[-3.7504397], [-2.3667594], [-1.1544054], [0.0], [1.1544054], [2.3667594], [3.7504397]]
)
MASSES: Final = np.array(
    (0.0005482689, 0.0307571240, 0.2401231786, 0.4571428571, 0.2401231786, 0.0307571240, 0.0005482689)
)
LOGITS, HALVINGS = 10.0, 20

Amount = TypeVar("Amount", float, Vector)


def weighted(weights: Weights, *, latency_ms: Amount, energy_j: Amount, money: Amount) -> Amount:
    """w_latency * latency + w_energy * energy + money, which `paid` has weighted."""
    return weights.latency_per_s / 1e3 * latency_ms + weights.energy_per_j * energy_j + money


def paid(weights: Weights, *, calls: Amount, money: Amount) -> Amount:
    """w_call * paid calls + w_money * their predicted price."""
    return weights.money_per_call * calls + weights.money_per_unit * money


def keeps(lam: float, loss: float, remaining_cost: float) -> bool:
    """The escalate rule: keep an answer iff what keeping loses is worth no more than asking the cloud."""
    return lam * loss <= remaining_cost


def after_answer(lam: float, damage: Damage, z: Vector, spread: Vector, remaining_cost: Vector) -> Vector:
    """What is still to come once each arm has answered; all of shape (arms,).

    The escalate rule will take the lesser of lam * loss and `remaining_cost`, told apart by a confidence
    that is not known yet. Its logit is taken as normal with variance `spread` around the value at which the
    answer differs on average with the probability whose logit is `z`; so the cost is
    E[min(lam * damage.of_logits(its logit), remaining_cost)].
    This is what a cascade is worth before it runs: near `remaining_cost` when the answer will surely be
    escalated, so that asking the cloud at once is then cheaper by the arm's own cost.
    """
    told = z * np.sqrt(1.0 + math.pi / 8.0 * spread) + np.sqrt(spread) * NODES
    expected: Vector = MASSES @ np.minimum(lam * damage.of_logits(told), remaining_cost)
    return expected


def escalation(
    lam: float, damage: Damage, place: int, differ: float, spread: float, remaining_cost: float
) -> float:
    """How likely the escalate rule will ask the cloud after an answer of the arm at `place` of `damage`."""
    if keeps(lam, damage.one(place, 1.0), remaining_cost):
        return 0.0
    low, high = -LOGITS, LOGITS  # the loss rises with the logit: halve to where the rule turns
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if keeps(lam, damage.one(place, sigmoid(middle)), remaining_cost):
            low = middle
        else:
            high = middle
    return 0.5 * math.erfc((high - centre(differ, spread)) / math.sqrt(2.0 * spread))
