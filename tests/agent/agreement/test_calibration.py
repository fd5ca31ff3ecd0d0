"""Probabilities that are too low or too high are corrected by judgements and by feedback; others stay."""

from __future__ import annotations

import json
import math
import random

import pytest

from agent.agreement.agreement import Agreement
from agent.agreement.calibration import Calibration
from agent.agreement.task import Task

TASK: Task = "open"
RIGHT_IF_SAME, RIGHT_IF_DIFFERENT = 0.9, 0.35


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def estimate(score: float) -> Agreement:
    p = sigmoid(score)
    return Agreement(p, not 0.15 <= p <= 0.85, "words")


def learned(bias: float, label: str, *, seed: int = 0, count: int = 400) -> Calibration:
    """Returns what is learned from estimates whose log-odds are wrong by `bias`."""
    rng, calibration = random.Random(seed), Calibration()
    for _ in range(count):
        score = rng.gauss(0.0, 2.0)
        same = rng.random() < sigmoid(score)
        found = estimate(score + bias)
        if label == "judge" and not found.sure:
            calibration.learn(TASK, found, 0.97 if same else 0.03)
        if label == "feedback":
            correct = rng.random() < (RIGHT_IF_SAME if same else RIGHT_IF_DIFFERENT)
            calibration.learn_feedback(TASK, found, "local", correct=correct)
    return calibration


def distance(calibration: Calibration, bias: float) -> float:
    """Returns the mean distance between the corrected and the true probability, of unsure estimates."""
    found = [estimate(step / 8) for step in range(-13, 14)]
    assert not any(one.sure for one in found)
    gaps = [
        calibration.corrected(TASK, one).p_same - sigmoid(math.log(one.p_same / (1 - one.p_same)) - bias)
        for one in found
    ]
    return sum(map(abs, gaps)) / len(gaps)


def mean_distance(bias: float, label: str) -> float:
    return sum(distance(learned(bias, label, seed=seed), bias) for seed in range(6)) / 6


@pytest.mark.parametrize("label", ["judge", "feedback"])
@pytest.mark.parametrize("bias", [-2.0, 2.0])
def test_a_bias_is_at_least_halved(label: str, bias: float) -> None:
    assert mean_distance(bias, label) < 0.5 * distance(Calibration(), bias)


@pytest.mark.parametrize("label", ["judge", "feedback"])
def test_right_probabilities_are_kept(label: str) -> None:
    assert mean_distance(0.0, label) < 0.1


def test_feedback_teaches_nothing_where_right_answers_are_as_frequent_when_different() -> None:
    calibration, rng = Calibration(), random.Random(0)
    for _ in range(300):
        calibration.learn_feedback(
            TASK, estimate(rng.choice((-3.0, 3.0))), "cloud", correct=rng.random() < 0.9
        )
    before = calibration.corrected(TASK, estimate(0.5)).p_same
    for _ in range(100):
        calibration.learn_feedback(TASK, estimate(0.5), "cloud", correct=True)
    assert calibration.corrected(TASK, estimate(0.5)).p_same == pytest.approx(before, abs=0.05)


def test_each_task_has_its_own_correction_and_equal_texts_have_none() -> None:
    calibration = learned(-2.0, "judge")
    found = estimate(0.0)
    assert calibration.corrected("label", found) == found
    exact = Agreement(0.98, True, "exact")
    calibration.learn(TASK, exact, 0.0)
    assert calibration.corrected(TASK, exact) == exact


def test_a_correction_makes_nothing_sure_that_was_not() -> None:
    calibration = learned(-2.0, "judge")
    found = Agreement(0.8, False, "words")
    corrected = calibration.corrected(TASK, found)
    assert corrected.p_same > 0.85
    assert not corrected.sure


def test_a_snapshot_is_restored_from_json_and_a_damaged_one_refused() -> None:
    before, after = learned(-2.0, "feedback"), Calibration()
    text = json.dumps(before.snapshot())
    after.restore(json.loads(text))
    assert after.snapshot() == before.snapshot()
    negative = text.replace('slope_variance": ', 'slope_variance": -', 1)
    no_number = text.replace('correct": ', 'correct": NaN, "unknown": ', 1)
    for damaged in ("[]", text.replace("slope", "slant", 1), negative, no_number):
        with pytest.raises(ValueError, match="validation error"):
            after.restore(json.loads(damaged))
    assert after.snapshot() == before.snapshot()
