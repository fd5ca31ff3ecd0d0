"""Feedback tells who is right when the board and the cloud differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.logistic import logits
from controller.quality import features
from controller.settings import ControllerSettings, Learning
from controller.signals import FEATURES
from controller.truth import Truth

X = features(np.zeros(len(FEATURES)))
REFERENCE = "cloud/large@0"


def test_the_surer_the_board_was_the_less_a_difference_loses() -> None:
    learning = Learning()
    damage = Truth(ControllerSettings(learning=learning), len(X)).damage(X, REFERENCE)
    net = damage.net(logits(np.array([0.01, 0.1, 0.3, 0.9])))
    assert (np.diff(net) >= 0).all()
    assert net[0] < net[2] - 0.15
    assert net[2] == pytest.approx(learning.cloud_right - learning.board_right)
    assert damage.one(0.3) == pytest.approx(0.3 * net[2])


def test_feedback_on_compared_answers_tells_who_is_right_when_they_differ() -> None:
    truth = Truth(ControllerSettings(), len(X))
    before = truth.net_variance(0.3, REFERENCE)
    for i in range(300):
        truth.learn("cloud", i % 2 == 0, differed=1.0, expected=0.3, x=X, reference=REFERENCE)
        truth.learn("local", i % 5 == 0, differed=1.0, expected=0.3, x=X, reference=REFERENCE)
    assert truth.damage(X, REFERENCE).net(logits(np.array(0.3))) == pytest.approx(0.3, abs=0.1)
    assert truth.net_variance(0.3, REFERENCE) < before / 3


def test_feedback_tells_sure_answers_from_others() -> None:
    truth = Truth(ControllerSettings(), len(X))
    for i in range(200):
        truth.learn("local", i % 2 == 0, differed=1.0, expected=0.05, x=X, reference=REFERENCE)
        truth.learn("local", False, differed=1.0, expected=0.6, x=X, reference=REFERENCE)
    sure, unsure = truth.damage(X, REFERENCE).net(logits(np.array([0.05, 0.6])))
    assert sure < 0.2
    assert unsure > 0.8


def test_a_wrong_answer_of_the_board_makes_a_difference_likely_and_a_right_one_unlikely() -> None:
    truth = Truth(ControllerSettings(), len(X))
    assert truth.differed("local", False, 0.3, X, REFERENCE) > 0.7
    assert truth.differed("local", True, 0.3, X, REFERENCE) < 0.1


@given(st.lists(st.tuples(st.sampled_from(["local", "cloud"]), st.booleans(), st.floats(0, 1)), max_size=100))
def test_no_feedback_breaks_the_shares(truths: list[tuple[str, bool, float]]) -> None:
    truth = Truth(ControllerSettings(), len(X))
    for tier, correct, differed in truths:
        truth.learn(tier, correct, differed, differed, x=X, reference=REFERENCE)  # type: ignore[arg-type]
    net = truth.damage(X, REFERENCE).net(logits(np.array([0.01, 0.3, 0.99])))
    assert ((net >= 0.05) & (net <= 1)).all()
    assert 0 < truth.accuracy(0.3, REFERENCE) < 1


def test_kinds_of_question_on_which_the_cloud_errs_too_are_told_apart() -> None:
    truth = Truth(ControllerSettings(), len(X))
    hard = X.copy()
    hard[1 + FEATURES.index("count")] = 1.0
    for i in range(300):
        truth.learn("cloud", i % 2 == 0, differed=1.0, expected=0.3, x=hard, reference=REFERENCE)
        truth.learn("cloud", True, differed=1.0, expected=0.3, x=X, reference=REFERENCE)
    assert truth.damage(hard, REFERENCE).one(0.3) < 0.8 * truth.damage(X, REFERENCE).one(0.3)


def test_what_is_known_of_one_reference_is_not_taken_for_another() -> None:
    truth, fresh = Truth(ControllerSettings(), len(X)), Truth(ControllerSettings(), len(X))
    for _ in range(100):
        truth.learn("cloud", False, differed=1.0, expected=0.3, x=X, reference=REFERENCE)
    assert truth.damage(X, "cloud/other@0") == fresh.damage(X, "cloud/other@0")
    assert truth.damage(X, REFERENCE) != fresh.damage(X, REFERENCE)
