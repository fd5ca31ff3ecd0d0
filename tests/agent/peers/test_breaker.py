"""A server that does not answer gets no calls until it passes a probe, then a few calls until it answers."""

from __future__ import annotations

import pytest

from agent.peers.breaker import FAILED_IN_A_ROW, LATE_IN_A_ROW, TRIALS, Breaker, Ended


def call(breaker: Breaker, how: Ended, question: str = "") -> bool:
    breaker.began()
    return breaker.ended(how, question)


def test_one_call_to_an_unreachable_server_opens_the_breaker() -> None:
    breaker = Breaker()
    assert call(breaker, "unreachable")
    assert not breaker.allows()


def test_only_consecutive_late_calls_open_the_breaker() -> None:
    breaker = Breaker()
    for _ in range(LATE_IN_A_ROW - 1):
        assert not call(breaker, "late")
    call(breaker, "answered")
    for _ in range(LATE_IN_A_ROW - 1):
        assert not call(breaker, "late")
    assert breaker.allows()
    assert call(breaker, "late")
    assert not breaker.allows()


def test_dropped_calls_are_not_counted() -> None:
    breaker = Breaker()
    for _ in range(10):
        assert not call(breaker, "dropped")
    assert breaker.allows()


def test_after_a_probe_a_few_calls_are_allowed_and_an_answer_closes_the_breaker() -> None:
    breaker = Breaker()
    call(breaker, "unreachable")
    breaker.probed()
    for _ in range(TRIALS):
        assert breaker.allows()
        breaker.began()
    assert not breaker.allows()
    breaker.ended("answered")
    assert (breaker.state, breaker.opened) == ("closed", 0)
    assert breaker.allows()


@pytest.mark.parametrize("how", ["late", "unreachable", "failed"])
def test_a_failed_trial_opens_the_breaker_again(how: Ended) -> None:
    breaker = Breaker()
    call(breaker, "unreachable")
    breaker.probed()
    assert call(breaker, how)
    assert not breaker.allows()
    assert breaker.opened == 2, "so that its owner probes less often"


def test_calls_that_end_while_the_breaker_is_open_change_nothing() -> None:
    breaker = Breaker()
    breaker.began()
    call(breaker, "unreachable")
    assert not breaker.ended("unreachable")
    assert breaker.opened == 1


def test_failures_open_the_breaker_only_if_different_questions_meet_them() -> None:
    breaker = Breaker()
    for _ in range(10):
        assert not call(breaker, "failed", "the same")
    for number in range(FAILED_IN_A_ROW - 2):
        assert not call(breaker, "failed", f"q{number}")
    assert call(breaker, "failed", "another")
    assert not breaker.allows()


def test_an_answer_in_between_shows_that_the_questions_were_at_fault() -> None:
    breaker = Breaker()
    for number in range(10):
        assert not call(breaker, "failed", f"q{number}")
        call(breaker, "answered")
    assert breaker.allows()


def test_one_refusal_opens_the_breaker_and_one_call_at_a_time_tries_again() -> None:
    breaker = Breaker()
    assert call(breaker, "refused")
    breaker.probed()
    breaker.began()
    assert not breaker.allows()
    assert breaker.ended("refused")
    assert breaker.refusals == 2
    breaker.check_refused()
    assert breaker.refusals == 3
    breaker.probed()
    call(breaker, "answered")
    assert (breaker.state, breaker.refusals) == ("closed", 0)
