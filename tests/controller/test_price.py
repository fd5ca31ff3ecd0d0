"""A call's price is a cost: a dearer arm is asked less often."""

from dataclasses import replace

import numpy as np
import pytest

from controller.arm import Arm
from controller.context import Context, Option
from controller.controller import Controller
from controller.outcome import Outcome
from controller.settings import Weights
from four_arms import LINK, SETTINGS, SIGNALS, SMALL, STRONG, SURE, answered, controller

HERE, THERE = replace(STRONG, server="peer-1"), replace(STRONG, server="peer-2")


def priced(prices: dict[Arm, float]) -> Context:
    options = [
        Option(arm, 20_000, link=LINK if arm.tier == "cloud" else None, money=money, vouched=True)
        for arm, money in prices.items()
    ]
    return Context(SIGNALS, tuple(options))


def asked_first(policy: Controller, prices: dict[Arm, float], questions: int = 200) -> list[Arm]:
    """Asks questions to which both tiers give the same answer, the board a second later than the cloud."""
    first = []
    for number in range(questions):
        decision = policy.decide(priced(prices), now=float(number))
        first.append(decision.arm)
        runs = [answered(decision.arm, "2", SURE)]
        if decision.arm == SMALL:
            runs = [replace(runs[0], latency_ms=1360.0, compute_ms=1350.0)]
        follow_up = policy.escalate(decision, runs[0], now=float(number))
        if follow_up.arm is not None:
            runs.append(answered(follow_up.arm, "2"))
        policy.learn(decision, Outcome(tuple(runs), len(runs) - 1), now=float(number))
    return first


@pytest.mark.parametrize(("dear", "cheap"), [(HERE, THERE), (THERE, HERE)])
def test_of_two_servers_of_a_model_the_cheaper_one_is_asked(dear: Arm, cheap: Arm) -> None:
    first = asked_first(controller(), {dear: 0.02, cheap: 0.001})
    assert np.mean([arm == cheap for arm in first]) > 0.9


def cloud_share(price: float) -> float:
    first = asked_first(controller(), {SMALL: 0.0, STRONG: price})
    return float(np.mean([arm == STRONG for arm in first]))


def test_a_dearer_cloud_is_asked_less() -> None:
    shares = [cloud_share(price) for price in (0.0, 0.02, 0.1)]
    assert shares[0] > 0.9
    assert shares[0] > shares[1] >= shares[2]
    assert shares[2] < 0.2


def test_without_a_weight_a_price_changes_nothing() -> None:
    free = replace(SETTINGS, weights=Weights(money_per_unit=0.0))
    cheap, dear = (controller(free).decide(priced({SMALL: 0.0, STRONG: price}), now=0.0) for price in (0, 9))
    assert cheap.predictions == dear.predictions
