"""What is told from replays: intervals, equal accuracy, recovery and curves, on made-up numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.replay.bootstrap import MEASURES, Resampler, interval
from lab.replay.drift_phases import STRETCH, WINDOW, Series, floor_held, optimum_in, segments
from lab.replay.equal_accuracy import cost_at, match
from lab.replay.gap_recovered import curve_of
from lab.replay.summary import Summary, auroc

SHARES = st.lists(st.floats(0.01, 0.99), min_size=3, max_size=8)


def tallies(
    rng: np.random.Generator, accuracy: float, cost: float, *, seeds: int = 8, groups: int = 60
) -> np.ndarray:
    made = np.zeros((seeds, groups, len(MEASURES)))
    made[..., MEASURES.index("questions")] = 5
    made[..., MEASURES.index("correct")] = rng.binomial(5, accuracy, (seeds, groups))
    made[..., MEASURES.index("reference")] = rng.binomial(5, 0.9, (seeds, groups))
    made[..., MEASURES.index("cost")] = rng.normal(5 * cost, 0.5, (seeds, groups))
    return made


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        drawn = Resampler(8, 60, draws=300, seed=trial).resamples(tallies(rng, 0.7, 1.0))
        low, high = interval(drawn.mean("correct"))
        hits += low <= 0.7 <= high
    assert hits >= 54


def test_resamples_are_paired() -> None:
    made = tallies(np.random.default_rng(0), 0.8, 1.0)
    resampler = Resampler(8, 60)
    doubled = made.copy()
    doubled[..., MEASURES.index("cost")] *= 2
    ratio = resampler.resamples(doubled).mean("cost") / resampler.resamples(made).mean("cost")
    assert np.allclose(ratio, 2.0)


def test_a_rival_that_costs_more_at_every_accuracy_is_beaten_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(1)
    resampler = Resampler(8, 60)
    ours, cloud = tallies(rng, 0.88, 1.0), tallies(rng, 0.9, 2.0)
    dear = [tallies(rng, accuracy, cost) for accuracy, cost in ((0.7, 0.9), (0.85, 1.5), (0.89, 1.9))]
    found = match("dear", ours, dear, cloud, resampler)
    assert found.beaten
    assert found.more == pytest.approx(0.8, abs=0.25)
    assert not match("ours", ours, [ours], cloud, resampler).beaten
    assert match("cheap", ours, [tallies(rng, 0.95, 0.5)], cloud, resampler).high < 0


@given(SHARES, st.floats(0.0, 1.0), st.integers(0, 5))
def test_the_hull_costs_no_more_than_any_point_that_is_as_accurate(
    accuracy: list[float], wanted: float, seed: int
) -> None:
    cost = np.random.default_rng(seed).uniform(0.1, 2.0, len(accuracy))
    found = cost_at(wanted, np.array(accuracy), cost)
    enough = [c for a, c in zip(accuracy, cost.tolist(), strict=True) if a >= wanted]
    assert found <= min(enough, default=math.inf) + 1e-9
    assert found >= cost.min() - 1e-9


def series(cost: np.ndarray, correct: np.ndarray, phase: np.ndarray, seeds: int = 4) -> Series:
    ones = np.ones((seeds, len(cost)))
    return Series(
        cost=ones * cost,
        correct=ones * correct,
        reference=ones,
        on_board=0 * ones,
        alarms=0 * ones,
        phase=phase,
    )


def test_recovery_counts_questions_until_the_optimum_is_near_again() -> None:
    phase = np.repeat([0, 1], 300)
    late = np.where(phase == 0, 1.0, 1.0)
    late[300:360] = 3.0  # sixty dear questions after the change
    policy = series(late, np.ones(600), phase)
    found = segments(policy, {"best": series(np.ones(600), np.ones(600), phase)}, 0.98)
    assert found[0].recovery == 0
    assert 60 - WINDOW < found[1].recovery <= 60
    assert found[1].regret == pytest.approx(60 * 2.0 / 300)
    never = segments(series(np.full(600, 1.2), np.ones(600), phase), {"best": policy}, 0.98)
    assert never[1].recovery is not None  # the candidate itself was dear for a while
    assert (
        segments(series(np.full(600, 9.0), np.ones(600), phase), {"best": policy}, 0.98)[1].recovery is None
    )


def test_cheap_but_wrong_is_no_recovery_and_no_optimum() -> None:
    phase = np.repeat([0, 1], 300)
    wrong = np.where(phase == 0, 1.0, 0.5)
    found = segments(
        series(np.full(600, 0.5), wrong, phase), {"best": series(np.ones(600), np.ones(600), phase)}, 0.98
    )
    assert found[1].recovery is None
    assert not found[1].floor_held
    candidates = {
        "cheap": series(np.full(600, 0.1), np.full(600, 0.9), phase),
        "right": series(np.ones(600), np.ones(600), phase),
    }
    assert optimum_in(candidates, phase == 1, 0.98) == "right"
    assert optimum_in(candidates, phase == 1, 0.85) == "cheap"


def test_a_window_counts_as_violated_only_when_it_certainly_is() -> None:
    length = 2 * STRETCH
    phase = np.zeros(length, dtype=int)
    slightly = np.ones(length)
    slightly[:: STRETCH // 6] = 0.0  # 3% wrong: under 0.98, but not certainly
    held = floor_held(series(np.ones(length), slightly, phase), 0.98)
    assert (held.held, held.met, held.stretches) == (1.0, 0.0, 8)
    clearly = np.ones(length)
    clearly[::5] = 0.0
    assert floor_held(series(np.ones(length), clearly, phase), 0.98).held == 0.0
    assert floor_held(series(np.ones(length), clearly, phase), 0.98, away=(0,)).stretches == 0


def summary(calls: float, pgr: float) -> Summary:
    rest = dict.fromkeys((field for field in Summary.__dataclass_fields__), 0.0)
    return Summary(**{**rest, "policy": "it", "calls": calls, "pgr": pgr})


def test_a_coin_recovers_half_the_gap_and_an_oracle_all_of_it() -> None:
    coin = curve_of([summary(share, share) for share in (0.25, 0.5, 0.75)])
    assert coin.apgr == pytest.approx(0.5, abs=0.01)
    assert coin.cpt80 == pytest.approx(0.8, abs=0.01)
    sharp = curve_of([summary(0.1, 1.0)])
    assert sharp.apgr > 0.9
    assert sharp.cpt50 <= 0.06


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_counts_pairs(entries: list[tuple[int, bool]]) -> None:
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
