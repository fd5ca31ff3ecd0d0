"""Statistics of replays on generated numbers: intervals, equal accuracy, recovery and curves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.probabilities import auroc
from lab.replay.bootstrap import MEASURES, Resampler, interval
from lab.replay.drift_phases import (
    FLOOR_WINDOW,
    RECOVERY_WINDOW,
    DriftReplays,
    floor_windows,
    phase_figures,
    phase_optimum,
)
from lab.replay.equal_accuracy import compare_at_equal_accuracy, cost_at
from lab.replay.gap_recovered import gap_recovered
from lab.replay.summary import Summary

SHARES = st.lists(st.floats(0.01, 0.99), min_size=3, max_size=8)


def random_sums(
    rng: np.random.Generator, accuracy: float, cost: float, *, seeds: int = 8, groups: int = 60
) -> np.ndarray:
    sums = np.zeros((seeds, groups, len(MEASURES)))
    sums[..., MEASURES.index("questions")] = 5
    sums[..., MEASURES.index("correct")] = rng.binomial(5, accuracy, (seeds, groups))
    sums[..., MEASURES.index("reference")] = rng.binomial(5, 0.9, (seeds, groups))
    sums[..., MEASURES.index("cost")] = rng.normal(5 * cost, 0.5, (seeds, groups))
    return sums


def test_an_interval_contains_the_true_value_about_as_often_as_claimed() -> None:
    hits = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        drawn = Resampler(8, 60, draws=300, seed=trial).resamples(random_sums(rng, 0.7, 1.0))
        low, high = interval(drawn.mean("correct"))
        hits += low <= 0.7 <= high
    assert hits >= 54


def test_resamples_are_paired() -> None:
    sums = random_sums(np.random.default_rng(0), 0.8, 1.0)
    resampler = Resampler(8, 60)
    doubled = sums.copy()
    doubled[..., MEASURES.index("cost")] *= 2
    ratio = resampler.resamples(doubled).mean("cost") / resampler.resamples(sums).mean("cost")
    assert np.allclose(ratio, 2.0)


def test_a_rival_is_beaten_only_if_it_costs_more_at_every_accuracy() -> None:
    rng = np.random.default_rng(1)
    resampler = Resampler(8, 60)
    ours, cloud = random_sums(rng, 0.88, 1.0), random_sums(rng, 0.9, 2.0)
    expensive = [
        random_sums(rng, accuracy, cost) for accuracy, cost in ((0.7, 0.9), (0.85, 1.5), (0.89, 1.9))
    ]
    comparison = compare_at_equal_accuracy("expensive", ours, expensive, cloud, resampler)
    assert comparison.beaten
    assert comparison.extra == pytest.approx(0.8, abs=0.25)
    assert not compare_at_equal_accuracy("ours", ours, [ours], cloud, resampler).beaten
    assert compare_at_equal_accuracy("cheap", ours, [random_sums(rng, 0.95, 0.5)], cloud, resampler).high < 0


@given(SHARES, st.floats(0.0, 1.0), st.integers(0, 5))
def test_the_hull_costs_no_more_than_any_point_with_the_accuracy(
    accuracy: list[float], wanted: float, seed: int
) -> None:
    cost = np.random.default_rng(seed).uniform(0.1, 2.0, len(accuracy))
    found = cost_at(wanted, np.array(accuracy), cost)
    enough = [c for a, c in zip(accuracy, cost.tolist(), strict=True) if a >= wanted]
    assert found <= min(enough, default=math.inf) + 1e-9
    assert found >= cost.min() - 1e-9


def drift_replays(cost: np.ndarray, correct: np.ndarray, phase: np.ndarray, seeds: int = 4) -> DriftReplays:
    ones = np.ones((seeds, len(cost)))
    return DriftReplays(
        cost=ones * cost,
        correct=ones * correct,
        reference=ones,
        on_board=0 * ones,
        alarms=0 * ones,
        phase=phase,
        quality_alarms=0 * ones,
        newcomer=0 * ones,
        estimates=(np.empty((0, 5)),) * seeds,
    )


def test_recovery_is_the_number_of_questions_until_the_cost_is_near_the_optimum() -> None:
    phase = np.repeat([0, 1], 300)
    cost = np.ones(600)
    cost[300:360] = 3.0  # sixty expensive questions after the change
    policy = drift_replays(cost, np.ones(600), phase)
    found = phase_figures(policy, {"best": drift_replays(np.ones(600), np.ones(600), phase)}, 0.98)
    assert found[0].recovery == 0
    assert 60 - RECOVERY_WINDOW < found[1].recovery <= 60
    assert found[1].regret == pytest.approx(60 * 2.0 / 300)
    against_policy = phase_figures(
        drift_replays(np.full(600, 1.2), np.ones(600), phase), {"best": policy}, 0.98
    )
    assert against_policy[1].recovery is not None  # the candidate itself was expensive at first
    assert (
        phase_figures(drift_replays(np.full(600, 9.0), np.ones(600), phase), {"best": policy}, 0.98)[
            1
        ].recovery
        is None
    )


def test_cheap_wrong_answers_are_neither_recovery_nor_optimum() -> None:
    phase = np.repeat([0, 1], 300)
    wrong = np.where(phase == 0, 1.0, 0.5)
    found = phase_figures(
        drift_replays(np.full(600, 0.5), wrong, phase),
        {"best": drift_replays(np.ones(600), np.ones(600), phase)},
        0.98,
    )
    assert found[1].recovery is None
    assert not found[1].floor_held
    candidates = {
        "cheap": drift_replays(np.full(600, 0.1), np.full(600, 0.9), phase),
        "right": drift_replays(np.ones(600), np.ones(600), phase),
    }
    assert phase_optimum(candidates, phase == 1, 0.98) == "right"
    assert phase_optimum(candidates, phase == 1, 0.85) == "cheap"


def test_the_floor_is_violated_in_a_window_only_if_that_is_certain() -> None:
    length = 2 * FLOOR_WINDOW
    phase = np.zeros(length, dtype=int)
    slightly = np.ones(length)
    slightly[:: FLOOR_WINDOW // 6] = 0.0  # 3% wrong: below 0.98, but not certainly
    held = floor_windows(drift_replays(np.ones(length), slightly, phase), 0.98)
    assert (held.held, held.met, held.windows) == (1.0, 0.0, 8)
    clearly = np.ones(length)
    clearly[::5] = 0.0
    assert floor_windows(drift_replays(np.ones(length), clearly, phase), 0.98).held == 0.0
    assert (
        floor_windows(drift_replays(np.ones(length), clearly, phase), 0.98, outage_phases=(0,)).windows == 0
    )


def summary(calls: float, pgr: float) -> Summary:
    rest = dict.fromkeys((field for field in Summary.__dataclass_fields__), 0.0)
    return Summary(**{**rest, "policy": "policy", "calls": calls, "pgr": pgr})


def test_random_routing_recovers_half_of_the_gap_on_average_and_an_oracle_nearly_all() -> None:
    random = gap_recovered([summary(share, share) for share in (0.25, 0.5, 0.75)])
    assert random.apgr == pytest.approx(0.5, abs=0.01)
    assert random.cpt80 == pytest.approx(0.8, abs=0.01)
    oracle = gap_recovered([summary(0.1, 1.0)])
    assert oracle.apgr > 0.9
    assert oracle.cpt50 <= 0.06


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_share_of_correctly_ordered_pairs(entries: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in entries], dtype=float)
    positive = np.array([is_positive for _, is_positive in entries])
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, up in entries
        for b, down in entries
        if up and not down
    ]
    found = auroc(scores, positive)
    assert math.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))
