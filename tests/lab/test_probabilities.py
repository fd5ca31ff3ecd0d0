"""Figures of probabilities against what is true."""

import math

import numpy as np
import pytest

from lab.probabilities import auroc, brier_score, calibration_error, reliability

NONE = np.array([]), np.array([], bool)


def test_reliability_counts_every_probability_once() -> None:
    rng = np.random.default_rng(4)
    probability = np.concatenate((rng.random(500), [0.0, 0.1, 1.0]))
    true = rng.random(503) < probability
    bins = reliability(probability, true)
    assert sum(found.count for found in bins) == 503
    assert all(found.low <= found.mean <= found.high for found in bins)
    assert sum(found.count * found.share for found in bins) == pytest.approx(true.sum())


def test_ranges_without_a_probability_are_left_out() -> None:
    (found,) = reliability(np.array([0.42, 0.44]), np.array([True, False]))
    assert (found.low, found.high, found.count, found.share) == (0.4, 0.5, 2, 0.5)


def test_without_probabilities_there_is_no_figure() -> None:
    assert reliability(*NONE) == []
    assert all(math.isnan(figure(*NONE)) for figure in (auroc, brier_score, calibration_error))
