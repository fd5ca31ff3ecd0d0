"""Audits give an unbiased estimate, the price is bounded and follows it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.audit import Audit, aipw
from controller.damage import Damage
from controller.drift import PageHinkley
from controller.floor import RANGE, Floor
from controller.logistic import logits
from controller.loss import Loss
from controller.rule import after_answer, escalation, keeps


@given(
    st.floats(0.01, 0.99),
    st.floats(0.0, 1.0),
    st.floats(0.02, 1.0),
)
def test_the_estimate_is_unbiased_whatever_was_predicted(
    share: float, predicted: float, propensity: float
) -> None:
    """Its expectation over the label and the draw, written out, is the share of ones."""
    unaudited = (1 - propensity) * aipw(predicted, None, propensity)
    audited = propensity * sum(
        chance * aipw(predicted, label, propensity) for label, chance in ((1.0, share), (0.0, 1 - share))
    )
    assert unaudited + audited == pytest.approx(share)


@pytest.mark.parametrize("bias", [0.3, 1.0, 3.0])
def test_the_estimate_is_unbiased_when_propensities_follow_the_risk(bias: float) -> None:
    rng = np.random.default_rng(7)
    audit, loss = Audit(0.1, 10.0), Loss(forgetting=1.0)
    labels, estimates = [], []
    for _ in range(20_000):
        risk = float(rng.beta(1.0, 6.0))
        label = float(rng.random() < risk)
        predicted = min(0.95, bias * risk)
        propensity = audit.propensity(predicted, predicted)
        drawn = rng.random() < propensity
        audit.learn(True, drawn)
        estimates.append(aipw(predicted, label if drawn else None, propensity))
        loss.learn(predicted, estimates[-1], predicted * (1 - predicted) / propensity, predicted)
        labels.append(label)
    error = abs(np.mean(estimates) - np.mean(labels))
    assert error < 4 * np.std(estimates) / len(estimates) ** 0.5
    interval = loss.kept(net_variance=0.0, accuracy=1.0)
    assert interval is not None
    assert interval.low < 1 - np.mean(labels) < interval.high
    assert interval.high - interval.low < 0.05
    assert loss.ratio == pytest.approx(max(0.5, 7 * np.mean(labels) / bias), rel=0.35)


def test_audits_keep_to_their_budget_after_a_bolder_opening() -> None:
    rng = np.random.default_rng(1)
    audit, drawn = Audit(0.05, 15.0), []
    for _ in range(4000):
        risk = float(rng.beta(1.0, 5.0))
        drawn.append(bool(rng.random() < audit.propensity(risk, risk)))
        audit.learn(True, drawn[-1])
    assert np.mean(drawn[:100]) > 0.08
    assert np.mean(drawn[1000:]) == pytest.approx(0.05, abs=0.01)


def test_riskier_answers_are_audited_more_and_all_of_them_sometimes() -> None:
    audit = Audit(0.05, 15.0)
    for _ in range(10):
        audit.learn(True, True)
    risks = (0.005, 0.1, 0.4)
    propensities = [audit.propensity(risk, 0.7 * risk) for risk in risks]
    assert 0 < propensities[0] < propensities[1] < propensities[2] < 1


def test_answers_that_differ_at_no_loss_are_audited_less() -> None:
    audit = Audit(0.05, 15.0)
    assert 0 < audit.propensity(0.2, -0.01) < audit.propensity(0.2, -0.1) == audit.propensity(0.2, 0.1)


def test_what_is_not_needed_of_the_budget_is_saved() -> None:
    rng = np.random.default_rng(1)
    audit, drawn = Audit(0.05, 15.0), []
    for _ in range(6000):
        drawn.append(bool(rng.random() < audit.propensity(0.04, 0.02)))
        audit.learn(True, drawn[-1])
    assert np.mean(drawn[2000:]) < 0.04


def test_what_users_tell_of_is_not_audited_as_well() -> None:
    def propensity(told_every: int, then_untold: int = 0) -> float:
        audit = Audit(0.05, 15.0)
        for number in range(300 + then_untold):
            audit.learn(True, False)
            if number < 300 and told_every and number % told_every == 0:
                audit.learn_told()
        return audit.propensity(0.3, 0.03)

    never = propensity(0)
    assert 0 < propensity(1) < propensity(2) < never
    assert propensity(2) == pytest.approx(never / 2, rel=0.05)
    assert propensity(1, then_untold=300) == pytest.approx(never, rel=0.01)


def test_without_a_budget_nothing_is_audited() -> None:
    assert Audit(0.0, 15.0).propensity(0.5, 0.3) == 0.0


def test_before_an_audit_the_interval_is_wide() -> None:
    loss = Loss(0.999)
    assert loss.kept(0.01, 0.9) is None
    for _ in range(50):
        loss.learn(0.05, 0.05, 0.05 * 0.95 / 0.01, 0.035)
    interval = loss.kept(0.01, 0.9)
    assert interval is not None
    assert interval.high - interval.low > 0.2


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300), st.floats(0, 1))
def test_the_price_stays_bounded(losses: list[tuple[float, bool]], least: float) -> None:
    floor = Floor(least, 0.01, 0.9)
    allowance = floor.allowance(0.9)
    for loss, may_fall in losses:
        floor.learn(loss, accuracy=0.9, cost=0.5, may_fall=may_fall)
        assert 1 / (RANGE * allowance) <= floor.price * (1 + 1e-9)
        assert floor.price <= RANGE / allowance * (1 + 1e-9)


def test_the_price_rises_above_the_allowance_and_falls_below_it_unless_it_may_not() -> None:
    floor = Floor(0.97, 0.01, 0.9)
    start = floor.price
    floor.learn(0.0, accuracy=0.9, cost=1.0, may_fall=False)
    assert floor.price == start
    floor.learn(0.0, accuracy=0.9, cost=1.0)
    assert floor.price < start
    for _ in range(5):
        floor.learn(0.1, accuracy=0.9, cost=1.0)
    assert floor.price > start


def test_an_alarm_makes_it_careful() -> None:
    floor = Floor(0.97, 0.01, 0.9)
    start = floor.price
    for _ in range(300):
        floor.learn(0.0, accuracy=0.9, cost=1.0)
    assert floor.price < start / 3
    floor.be_careful(0.9)
    assert floor.price == pytest.approx(start)


def test_lambda_follows_the_clouds_cost() -> None:
    floor = Floor(0.97, 0.01, 0.9)
    for _ in range(200):
        floor.learn(0.027, accuracy=0.9, cost=2.0)
    assert floor.lam(99.0) == pytest.approx(2.0 * floor.price)


def test_the_escalate_rule_is_that_of_the_design() -> None:
    assert keeps(lam=2.0, loss=0.1, remaining_cost=0.2)
    assert not keeps(lam=2.0, loss=0.11, remaining_cost=0.2)


@given(st.floats(0.01, 50), st.floats(0.01, 0.99), st.floats(0.05, 9), st.floats(0.01, 5))
def test_a_cascade_costs_no_more_than_the_worse_of_its_two_ends(
    lam: float, differ: float, spread: float, remaining: float
) -> None:
    damage = Damage(np.array([[-2.0], [2.2]]), np.array([[-0.8], [0.0]]))
    expected = after_answer(
        lam, damage, logits(np.array([differ])), np.array([spread]), np.array([remaining])
    )
    assert -lam <= expected[0] <= min(remaining, lam) + 1e-9  # below 0 where the board knows better
    assert 0 <= escalation(lam, damage, 0, differ, spread, remaining) <= 1


def test_what_a_cascade_is_worth_is_the_mean_over_the_confidence_to_come() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(-1.0, 1.5, 200_000)
    risk = 1 / (1 + np.exp(-z))
    damage = Damage(np.array([[-2.0], [2.2]]), np.array([[-0.8], [0.0]]))
    expected = after_answer(4.0, damage, logits(risk.mean(keepdims=True)), np.array([1.5**2]), np.ones(1))
    losses = 4.0 * damage.of(risk[:, None])[:, 0]
    assert expected[0] == pytest.approx(float(np.minimum(losses, 1.0).mean()), abs=0.05)
    likely = escalation(4.0, damage, 0, float(risk.mean()), 1.5**2, 1.0)
    assert likely == pytest.approx(float((losses > 1.0).mean()), abs=0.04)


def test_page_hinkley_is_quiet_on_noise_and_alarms_soon_after_a_shift() -> None:
    rng = np.random.default_rng(0)
    detector = PageHinkley(slack=0.5, threshold=8.0, clip=4.0)
    assert not any(detector.test(float(r)) for r in rng.normal(0, 1, 1000))
    after = [detector.test(float(r)) for r in rng.normal(2, 1, 20)]
    assert "up" in after[:10]


def test_page_hinkley_names_the_direction_and_one_outlier_does_not_alarm() -> None:
    detector = PageHinkley(slack=0.5, threshold=8.0, clip=4.0)
    assert detector.test(-1e9) is None
    assert [detector.test(-4.0) for _ in range(2)][-1] == "down"


def test_a_prediction_that_has_decayed_counts_for_nothing() -> None:
    """Its square underflows after about 380,000 questions that the reference alone answered."""
    loss = Loss(forgetting=0.5)
    loss.learn(0.1, 0.1, 0.1, 0.1)
    for _ in range(1200):
        loss.learn(0.0, 0.0, 0.0, 0.0)
        assert (loss.ratio, loss.net) == (1.0, 0.0) or loss._predicted >= 1e-9
        assert 0.0 <= loss.typical <= 1.0
    restored = Loss(forgetting=0.5)
    restored.restore({**loss.snapshot(), "predicted": 1e-300, "risked": 1e-300, "variance": 1e-300})
    assert (restored.ratio, restored.net, restored.typical) == (1.0, 0.0, 0.5)
