"""Feedback tells who is right when an answer differs from the reference's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.arm import Arm
from controller.beliefs import Vector
from controller.familiarity import Familiarity
from controller.logistic import logits
from controller.quality import features
from controller.roster import Roster
from controller.settings import ControllerSettings
from controller.signals import FEATURES
from controller.truth import Truth, Who

X = features(np.zeros(len(FEATURES)))
HARD = X.copy()
HARD[1 + FEATURES.index("count")] = 1.0
SETTINGS = ControllerSettings()
SMALL, LARGE = Arm("local", "small", 96, "board"), Arm("cloud", "large", 0, "peer")
ROSTER = Roster((SMALL, LARGE), SETTINGS)
OWN, OTHER = Who(SMALL.skill, LARGE.skill, False), Who(SMALL.skill, LARGE.skill, True)


@pytest.fixture
def truth() -> Truth:
    return Truth(SETTINGS, len(X), Familiarity(1.0))


def net(truth: Truth, *differ: float, x: Vector = X) -> Vector:
    """Right answers lost by each answer of the board that differs."""
    damage = truth.damage(x, ROSTER)
    return damage.net(logits(np.array(differ))[:, None] * np.ones(2))[:, 0]


def test_the_surer_the_board_was_the_less_a_difference_loses(truth: Truth) -> None:
    found = net(truth, 0.01, 0.1, 0.3, 0.9)
    assert (np.diff(found) >= 0).all()
    assert found[0] < found[2] - 0.15
    assert found[2] == pytest.approx(SETTINGS.learning.cloud_right - SETTINGS.learning.board_right)
    assert truth.damage(X, ROSTER).one(0, 0.3) == pytest.approx(0.3 * found[2])


def test_feedback_on_compared_answers_tells_who_is_right_when_they_differ(truth: Truth) -> None:
    net(truth, 0.3)
    before = truth.net_variance(0.3)
    for i in range(300):
        truth.learn(i % 2 == 0, 1.0, 0.3, X, OTHER)
        truth.learn(i % 5 == 0, 1.0, 0.3, X, OWN)
    assert net(truth, 0.3)[0] == pytest.approx(0.3, abs=0.1)
    assert truth.net_variance(0.3) < before / 3


def test_a_board_that_knows_better_wins_answers(truth: Truth) -> None:
    for i in range(300):
        truth.learn(i % 10 > 0, 1.0, 0.3, X, OWN)
        truth.learn(i % 10 == 0, 1.0, 0.3, X, OTHER)
    assert net(truth, 0.3)[0] < -0.5


def test_feedback_tells_sure_answers_from_others(truth: Truth) -> None:
    for i in range(200):
        truth.learn(i % 2 == 0, 1.0, 0.05, X, OWN)
        truth.learn(False, 1.0, 0.6, X, OWN)
    sure, unsure = net(truth, 0.05, 0.6)
    assert sure < 0.2
    assert unsure > 0.8


def test_a_wrong_answer_of_the_board_makes_a_difference_likely_and_a_right_one_unlikely(truth: Truth) -> None:
    assert truth.differed(False, 0.3, 0.3, X, OWN) > 0.7
    assert truth.differed(True, 0.3, 0.3, X, OWN) < 0.1


@given(st.lists(st.tuples(st.sampled_from([OWN, OTHER]), st.booleans(), st.floats(0, 1)), max_size=100))
def test_no_feedback_breaks_the_shares(truths: list[tuple[Who, bool, float]]) -> None:
    truth = Truth(SETTINGS, len(X), Familiarity(1.0))
    for who, correct, differed in truths:
        truth.learn(correct, differed, differed, X, who)
    found = net(truth, 0.01, 0.3, 0.99)
    assert ((found >= -1) & (found <= 1)).all()
    assert 0 < truth.accuracy(0.3) < 1


def test_kinds_of_question_on_which_the_reference_errs_too_are_told_apart(truth: Truth) -> None:
    for i in range(300):
        truth.learn(i % 2 == 0, 1.0, 0.3, HARD, OTHER)
        truth.learn(True, 1.0, 0.3, X, OTHER)
    assert net(truth, 0.3, x=HARD)[0] < 0.8 * net(truth, 0.3)[0]


def test_what_is_known_beside_one_reference_is_not_taken_for_another(truth: Truth) -> None:
    other = Roster((SMALL, Arm("cloud", "other", 0, "peer")), SETTINGS)
    for _ in range(100):
        truth.learn(False, 1.0, 0.3, X, OTHER)
    found, fresh = truth.damage(X, other), Truth(SETTINGS, len(X), Familiarity(1.0)).damage(X, other)
    assert (found.bias == fresh.bias).all()
    assert (truth.damage(X, ROSTER).bias != fresh.bias).any()


def test_feedback_about_many_others_does_not_cost_what_is_asked_now(truth: Truth) -> None:
    truth.damage(X, ROSTER)
    for number in range(40):
        truth.learn(True, 1.0, 0.3, X, Who(SMALL.skill, f"cloud/model-{number}@0", True))
    assert net(truth, 0.3).shape == (1,)


def test_telling_how_little_is_known_learns_nothing(truth: Truth) -> None:
    before = truth.snapshot()
    assert truth.net_variance(0.3) == 0.0
    assert truth.snapshot() == before


def test_the_accuracy_of_the_reference_is_that_where_they_agree_and_where_they_differ(truth: Truth) -> None:
    for i in range(2000):
        truth.learn(i % 2 == 0, 1.0, 0.3, X, OTHER)
        truth.learn(True, 0.0, 0.3, X, OTHER)
    assert truth.accuracy(0.4) == pytest.approx(0.4 * 0.5 + 0.6, abs=0.02)


def test_a_label_moves_beliefs_by_its_weight(truth: Truth) -> None:
    moved = []
    for weight in (0.0, 0.1, 0.5, 1.0):
        learner = Truth(SETTINGS, len(X), Familiarity(1.0))
        before = net(learner, 0.3)[0]
        for _ in range(10):
            learner.learn(True, 1.0, 0.3, X, OWN, weight=weight)
        moved.append(before - net(learner, 0.3)[0])
    assert moved[0] == pytest.approx(0.0, abs=1e-9)
    assert moved == sorted(moved)
    assert moved[1] < 0.3 * moved[3]
