"""The interval of the estimate covers the truth on constructed logs, and it says what a log cannot answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from agent.reporting.logged_decision import BoardFirst, Call, CloudFirst
from agent.reporting.what_if import Logged, Value, as_it_was, what_if
from controller import Weights

WEIGHTS = Weights()
METRICS = ("board_share", "latency_ms", "energy_j", "cloud_calls", "kept")


def world(rng: np.random.Generator, count: int = 1500) -> list[BoardFirst]:
    """Questions with everything that could be seen of them.

    The predictions are wrong on purpose: the cloud is slower on hard questions than expected, and the board
    differs less than expected.
    """
    answers = []
    for _ in range(count):
        hardness = rng.beta(1, 4)
        answers.append(
            BoardFirst(
                board=Call(rng.normal(60, 5), 1.0),
                loss=0.7 * hardness,
                p_differs=hardness,
                escalated=False,
                p_seen=1.0,
                cloud=Call(rng.normal(100 + 150 * hardness, 10), 0.1),
                differed=float(rng.random() < 0.8 * hardness),
                expected=Call(110.0, 0.12),
                cloud_loss=0.0,
            )
        )
    return answers


def logged(answers: list[BoardFirst], rng: np.random.Generator, audited: float = 0.1) -> list[BoardFirst]:
    """What a log has of them, if the cloud is asked above a risk of 30%, and others are audited at random."""
    log = []
    for answer in answers:
        if answer.p_differs > 0.3:
            log.append(replace(answer, escalated=True))
        elif rng.random() < audited:
            log.append(replace(answer, p_seen=audited))
        else:
            log.append(replace(answer, p_seen=audited, cloud=None, differed=None))
    return log


def values(value: Value | None) -> dict[str, float]:
    assert value is not None
    return {name: getattr(value, name).estimate for name in METRICS}


@pytest.mark.parametrize("floor", [0.8, 0.9, 0.97])
def test_the_interval_covers_the_truth(floor: float) -> None:
    """The truth is what the same rule does where everything is seen, on average over all logs."""
    runs, covered = 60, Counter[str]()
    truths, estimates = [], []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        everything = world(rng, 800)
        truths.append(values(what_if(everything, floor, WEIGHTS).value))
        estimates.append(what_if(logged(everything, rng), floor, WEIGHTS).value)
    for name in METRICS:
        truth = float(np.mean([found[name] for found in truths]))
        for value in estimates:
            assert value is not None
            found = getattr(value, name)
            covered[name] += found.low - 1e-9 <= truth <= found.high + 1e-9
    assert min(covered[name] for name in METRICS) >= 0.9 * runs, covered


def test_a_wrong_prediction_alone_would_be_wrong() -> None:
    """Without what the audits say, the latency of asking the cloud would be that of the predictions."""
    rng = np.random.default_rng(0)
    everything = world(rng, 20_000)
    truth = values(what_if(everything, 0.97, WEIGHTS).value)["latency_ms"]
    log = logged(everything, rng)
    robust = what_if(log, 0.97, WEIGHTS).value
    unseen = [
        replace(answer, cloud=answer.expected) if answer.cloud is not None else answer for answer in log
    ]
    naive = what_if(unseen, 0.97, WEIGHTS).value
    assert robust is not None
    assert naive is not None
    assert robust.latency_ms.low < truth < robust.latency_ms.high
    assert not naive.latency_ms.low < truth < naive.latency_ms.high


def test_a_higher_floor_asks_the_cloud_more_often_and_a_lower_one_less() -> None:
    rng = np.random.default_rng(1)
    log = logged(world(rng), rng)
    now, low, high = as_it_was(log), what_if(log, 0.8, WEIGHTS), what_if(log, 0.97, WEIGHTS)
    assert low.value is not None
    assert high.value is not None
    assert low.value.board_share.estimate > now.board_share.estimate > high.value.board_share.estimate
    assert low.newly_kept > 0 == low.newly_asked
    assert high.newly_asked > 0 == high.newly_kept


def test_weights_change_which_questions_the_cloud_is_asked() -> None:
    """If latency is all that counts, the questions that the cloud answers fast are asked first."""
    rng = np.random.default_rng(2)
    fast, slow = Call(50.0, 5.0), Call(500.0, 0.1)
    everything = [
        replace(answer, expected=call, cloud=call)
        for answer, call in zip(world(rng), [fast, slow] * 750, strict=True)
    ]
    by_latency = what_if(everything, 0.9, Weights(1.0, 0.0, 0.0)).value
    by_energy = what_if(everything, 0.9, Weights(0.0, 1.0, 0.0)).value
    assert by_latency is not None
    assert by_energy is not None
    assert by_latency.latency_ms.high < by_energy.latency_ms.low
    assert by_latency.energy_j.low > by_energy.energy_j.high


def test_what_the_cloud_was_asked_first_stays_as_it_was() -> None:
    first: list[Logged] = [CloudFirst(Call(100.0, 0.1), 0.0)] * 1500
    rng = np.random.default_rng(3)
    mixed = [*logged(world(rng), rng), *first]
    found = what_if(mixed, 0.9, WEIGHTS)
    assert found.value is not None
    assert found.value.board_share.estimate <= 0.5


@pytest.mark.parametrize(
    ("audited", "count", "floor", "problem"),
    [
        (0.1, 99, 0.9, "99 answers that can be used, and 100 are needed"),
        (0.0, 1500, 0.99, "were audited: 10 are needed"),
        (0.002, 1500, 0.99, "were audited: 10 are needed"),
        (0.0, 1500, 0.8, "could never be audited"),
    ],
)
def test_it_says_what_the_log_lacks(audited: float, count: int, floor: float, problem: str) -> None:
    rng = np.random.default_rng(4)
    found = what_if(logged(world(rng, count), rng, audited), floor, WEIGHTS)
    assert found.value is None
    assert problem in str(found.problem)
