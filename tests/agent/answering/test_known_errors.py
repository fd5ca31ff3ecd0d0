"""What the agent knows of an answer without feedback: from a sure comparison with a model of another tier."""

from __future__ import annotations

import pytest

from agent.answering.arms import Attempt
from agent.answering.comparing import Comparison
from agent.answering.known_errors import (
    NOTHING_KNOWN,
    WRONG_IF_AGREED,
    WRONG_IF_IT_DIFFERS,
    WRONG_THOUGH_BETTER,
    KnownError,
    known_error,
)
from controller import Arm, Execution, Tier


def attempts(*tiers: Tier) -> list[Attempt]:
    return [
        Attempt(Execution(Arm(tier, f"m{place}", 64, "s"), latency_ms=1.0), "yes")
        for place, tier in enumerate(tiers)
    ]


def compared(p_same: float, places: tuple[int, int] = (0, 1)) -> list[Comparison]:
    return [Comparison(places, None, p_same)]


@pytest.mark.parametrize(
    ("p_same", "p_wrong"), [(1.0, WRONG_IF_AGREED), (0.0, WRONG_IF_IT_DIFFERS)], ids=["agrees", "differs"]
)
def test_an_audited_answer_is_tested_by_its_audit(p_same: float, p_wrong: float) -> None:
    found = known_error(attempts("local", "cloud"), 0, compared(p_same), audited=True, p_differs=0.3)
    assert found == KnownError(p_wrong, tested=True)


@pytest.mark.parametrize(
    ("p_same", "p_wrong"), [(1.0, WRONG_IF_AGREED), (0.0, WRONG_THOUGH_BETTER)], ids=["agrees", "differs"]
)
def test_an_escalated_answer_is_tested_by_the_one_before(p_same: float, p_wrong: float) -> None:
    found = known_error(attempts("local", "cloud"), 1, compared(p_same), audited=False, p_differs=None)
    assert found == KnownError(p_wrong, tested=True)


@pytest.mark.parametrize("p_same", [0.2, 0.5, 0.8])
def test_an_unsure_comparison_tests_nothing(p_same: float) -> None:
    found = known_error(attempts("local", "cloud"), 0, compared(p_same), audited=True, p_differs=0.0)
    assert found == KnownError(WRONG_IF_AGREED, tested=False)


def test_an_answer_that_was_not_compared_has_the_estimate_and_without_one_nothing() -> None:
    found = known_error(attempts("local"), 0, [], audited=False, p_differs=1.0)
    assert found == KnownError(WRONG_IF_IT_DIFFERS, tested=False)
    assert known_error(attempts("local"), 0, [], audited=False, p_differs=None) == NOTHING_KNOWN


def test_models_of_one_tier_do_not_test_each_other_but_for_an_audit() -> None:
    clouds = attempts("cloud", "cloud")
    found = known_error(clouds, 0, compared(0.0), audited=False, p_differs=None)
    assert found == NOTHING_KNOWN
    audited = known_error(clouds, 0, compared(0.0), audited=True, p_differs=None)
    assert audited == KnownError(WRONG_IF_IT_DIFFERS, tested=True)


def test_a_new_model_that_was_asked_in_addition_tests_nobody() -> None:
    with_newcomer = [*compared(1.0, (0, 1)), *compared(0.0, (0, 2)), *compared(0.0, (1, 2))]
    found = known_error(attempts("local", "cloud"), 0, with_newcomer, audited=True, p_differs=None)
    assert found == KnownError(WRONG_IF_AGREED, tested=True)
