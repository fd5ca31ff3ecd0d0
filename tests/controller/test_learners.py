"""The small learners find what they are shown, forget it, and stay finite."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.beliefs import CAPACITY, Beliefs
from controller.failures import Failures
from controller.isotonic import Isotonic
from controller.logistic import averaged, learn_label, logit, sigmoid
from controller.scales import Scales

TRUE = np.array([0.5, -1.0, 2.0])


def shown(beliefs: Beliefs, weights: np.ndarray, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x = rng.normal(size=3)
        y = float(weights @ x) + 0.1 * rng.normal()
        beliefs.observe("a", x, y - beliefs.predict("a", x)[0], precision=100.0)


def held(beliefs: Beliefs) -> np.ndarray:
    return np.array([beliefs.predict("a", unit)[0] for unit in np.eye(3)])


def ready(forgetting: float) -> Beliefs:
    beliefs = Beliefs(3, forgetting)
    beliefs.add("a", np.zeros(3), np.ones(3))
    return beliefs


def test_weights_are_found() -> None:
    beliefs = ready(0.99)
    shown(beliefs, TRUE, 300, seed=0)
    assert held(beliefs) == pytest.approx(TRUE, abs=0.05)


def test_without_forgetting_it_is_ridge_regression() -> None:
    rng = np.random.default_rng(3)
    xs, ys = rng.normal(size=(20, 3)), rng.normal(size=20)
    beliefs = ready(1.0)
    for x, y in zip(xs, ys, strict=True):
        beliefs.observe("a", x, float(y) - beliefs.predict("a", x)[0], precision=4.0)
    closed = np.linalg.solve(4.0 * xs.T @ xs + np.eye(3), 4.0 * xs.T @ ys)
    assert held(beliefs) == pytest.approx(closed)


def test_old_weights_are_forgotten() -> None:
    beliefs = ready(0.95)
    shown(beliefs, TRUE, 1000, seed=0)
    shown(beliefs, -TRUE, 100, seed=1)
    assert held(beliefs) == pytest.approx(-TRUE, abs=0.1)


def test_directions_without_news_return_to_the_prior_and_nothing_grows() -> None:
    beliefs = ready(0.9)
    shown(beliefs, TRUE, 100, seed=0)
    only_first = np.array([1.0, 0.0, 0.0])
    for _ in range(20_000):
        beliefs.observe("a", only_first, 0.7 - beliefs.predict("a", only_first)[0], precision=100.0)
    assert held(beliefs)[0] == pytest.approx(0.7, abs=0.01)
    assert held(beliefs)[1:] == pytest.approx([0.0, 0.0], abs=1e-3)
    assert beliefs.predict("a", np.array([0.0, 1.0, 0.0]))[1] == pytest.approx(1.0, rel=0.5)


def test_widening_keeps_the_weights_and_lets_the_next_observation_move_them() -> None:
    calm, shaken = ready(0.99), ready(0.99)
    for beliefs in (calm, shaken):
        shown(beliefs, TRUE, 300, seed=0)
    before = held(shaken)
    shaken.widen("a", 0.5)
    assert held(shaken) == pytest.approx(before)
    for beliefs in (calm, shaken):
        shown(beliefs, -TRUE, 8, seed=1)
    assert np.abs(held(shaken) + TRUE).max() < 0.3 < np.abs(held(calm) + TRUE).max()


def test_the_row_updated_longest_ago_makes_room_but_none_that_is_needed() -> None:
    beliefs = Beliefs(1, 0.9)
    one = np.ones(1)
    for i in range(CAPACITY):
        beliefs.add(str(i), one, one)
    beliefs.observe("0", one, 0.0, 1.0)
    beliefs.add("new", one, one, keep=["1"])
    assert "0" in beliefs
    assert "1" in beliefs
    assert "2" not in beliefs
    names = [f"n{i}" for i in range(3 * CAPACITY)]
    for name in names:
        beliefs.add(name, 2 * one, one, keep=names)
    assert beliefs.predictions(one)[0][beliefs.rows(names)].tolist() == [2.0] * len(names)


def test_a_logistic_finds_the_odds() -> None:
    rng = np.random.default_rng(0)
    beliefs = ready(0.999)
    for _ in range(3000):
        x = rng.normal(size=3)
        learn_label(beliefs, "a", x, float(rng.random() < sigmoid(float(TRUE @ x))), 1.0)
    assert held(beliefs) == pytest.approx(TRUE, abs=0.4)


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(-3, 3), min_size=3, max_size=3),
            st.floats(0, 1),
            st.floats(0, 50),
        ),
        max_size=60,
    )
)
def test_no_label_makes_a_logistic_overshoot_or_break(labels: list[tuple[list[float], float, float]]) -> None:
    beliefs = ready(0.98)
    for features, label, weight in labels:
        x = np.array(features)
        before, _ = beliefs.predict("a", x)
        learn_label(beliefs, "a", x, label, weight)
        after, variance = beliefs.predict("a", x)
        assert np.isfinite(after)
        assert variance >= -1e-9
        # The label pulls towards its own logit; recalling the prior may pull back, but never beyond either.
        assert min(before, logit(label), 0.0) - 0.2 <= after <= max(before, logit(label), 0.0) + 0.2


def test_averaging_over_uncertainty_is_close_to_the_integral() -> None:
    rng = np.random.default_rng(0)
    for z, variance in ((0.5, 1.0), (-3.0, 2.0), (2.0, 4.0)):
        drawn = 1 / (1 + np.exp(-rng.normal(z, variance**0.5, 200_000)))
        assert sigmoid(averaged(z, variance)) == pytest.approx(float(drawn.mean()), abs=0.02)


def test_isotonic_starts_as_the_identity_and_ends_at_the_shares_seen() -> None:
    calibrated = Isotonic(strength=10.0)
    assert [calibrated(s) for s in (0.25, 0.5, 0.75)] == pytest.approx([0.25, 0.5, 0.75])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        score = rng.random()
        calibrated.learn(score, float(rng.random() < score**3), 1.0)
    for score in (0.3, 0.5, 0.7, 0.9):
        assert calibrated(score) == pytest.approx(score**3, abs=0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0]), st.floats(0.1, 10)), max_size=80))
def test_isotonic_never_falls_and_stays_within_bounds(labels: list[tuple[float, float, float]]) -> None:
    calibrated = Isotonic(strength=5.0)
    for score, label, weight in labels:
        calibrated.learn(score, label, weight)
    shares = [calibrated(score) for score in np.linspace(0, 1, 50)]
    assert all(0 <= a <= b + 1e-12 <= 1 + 1e-9 for a, b in pairwise(shares))


def test_averages_stay_within_their_bounds_and_in_number() -> None:
    scales = Scales(initial=0.0, low=-1.0, high=1.0)
    for i in range(500):
        scales.learn(str(i % 100), 99.0, rate=0.5)
    assert all(0 <= scales[str(i)] <= 1.0 for i in range(100))
    assert len(scales.snapshot()) == 64


def test_a_failure_is_forgiven_with_time_and_by_an_answer() -> None:
    failures = Failures(half_life_s=30.0)
    assert failures.chance("peer", 0.0) == 0.0
    failures.learn("peer", True, 0.0)
    failures.learn("peer", True, 0.0)
    at_once = failures.chance("peer", 0.0)
    assert at_once == pytest.approx(0.5)
    assert failures.chance("peer", 60.0) < at_once / 2
    failures.learn("peer", False, 0.0)
    assert failures.chance("peer", 0.0) < at_once / 1.5
