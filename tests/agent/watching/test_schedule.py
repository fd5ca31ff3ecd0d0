"""When a standing question is asked: given the time, the pictures and what was asked before."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from agent.config.standing_question import When
from agent.watching.frame import changed_parts
from agent.watching.schedule import LONGEST_WAIT_S, Schedule, Verdict

NOON = time(12)
NO, IF_CHANGED, YES = Verdict.NO, Verdict.IF_CHANGED, Verdict.YES
SCENE, LITTLE, MUCH = "ffff0000ffff0000", "ffff0000ffff0007", "ffff0000ffff000f"


def schedule(**when: Any) -> Schedule:
    return Schedule(When.model_validate(when))


def verdict(one: Schedule, frame: int, now: float, local: time = NOON) -> Verdict:
    return one.verdict(frame, now=now, local=local)


def test_without_a_reason_each_new_picture_is_asked_about_once() -> None:
    one = schedule()
    assert verdict(one, 1, 0.0) is YES
    one.ask(1, now=0.0)
    assert [verdict(one, 1, 9.0), verdict(one, 2, 9.0)] == [NO, YES]


def test_the_period_counts_from_one_asking_to_the_next_and_needs_a_new_picture() -> None:
    one = schedule(every_s=10)
    assert verdict(one, 1, 100.0) is YES
    one.ask(1, now=100.0)
    assert one.wait_s(now=103.0, local=NOON) == 7.0
    assert [verdict(one, 2, 109.9), verdict(one, 2, 110.0), verdict(one, 1, 110.0)] == [NO, YES, NO]


def test_a_change_is_measured_from_the_answered_picture() -> None:
    one = schedule(on_change=4)
    assert verdict(one, 1, 0.0) is YES
    one.ask(1, now=0.0)
    one.answer(SCENE)
    assert verdict(one, 2, 1.0) is IF_CHANGED
    assert not one.changed(2, LITTLE)
    assert verdict(one, 2, 2.0) is NO, "it was compared already"
    assert verdict(one, 3, 2.0) is IF_CHANGED
    assert one.changed(3, MUCH)


def test_a_refused_question_keeps_its_change_and_is_asked_again_after_the_pause() -> None:
    one = schedule(on_change=4)
    one.ask(1, now=0.0)
    one.answer(SCENE)
    one.ask(2, now=1.0)
    one.refuse(5.0)
    assert [verdict(one, 2, 4.0), verdict(one, 2, 5.0)] == [NO, IF_CHANGED]
    assert one.changed(2, MUCH)


def test_a_refused_question_does_not_wait_for_its_whole_period() -> None:
    one = schedule(every_s=3600)
    one.ask(1, now=0.0)
    one.refuse(2.0)
    assert [verdict(one, 1, 1.0), verdict(one, 1, 2.0)] == [NO, YES]


def test_a_trigger_asks_about_the_newest_picture_once() -> None:
    one = schedule(trigger="door/bell")
    assert verdict(one, 1, 0.0) is NO
    assert one.wait_s(now=0.0, local=NOON) == LONGEST_WAIT_S
    one.trigger(NOON)
    one.trigger(NOON)
    assert verdict(one, 1, 1.0) is YES
    one.ask(1, now=1.0)
    assert verdict(one, 1, 2.0) is NO
    one.trigger(NOON)
    assert verdict(one, 1, 2.0) is YES, "the same picture, because somebody asks"


def test_within_any_minute_it_is_asked_at_most_so_often() -> None:
    one = schedule(per_minute=2)
    for frame, now in ((1, 0.0), (2, 50.0)):
        assert verdict(one, frame, now) is YES
        one.ask(frame, now=now)
    assert [verdict(one, 3, 59.9), verdict(one, 3, 60.0)] == [NO, YES]
    one.ask(3, now=60.0)
    assert one.wait_s(now=61.0, local=NOON) == 49.0


def test_a_trigger_waits_for_the_limit_of_the_minute() -> None:
    one = schedule(trigger="bell", per_minute=1)
    one.trigger(NOON)
    one.ask(1, now=0.0)
    one.trigger(NOON)
    assert [verdict(one, 1, 59.0), verdict(one, 1, 60.0)] == [NO, YES]


def test_outside_its_hours_it_is_not_asked_and_a_trigger_is_ignored() -> None:
    one = schedule(trigger="bell", between="22:00-06:00")
    one.trigger(NOON)
    assert verdict(one, 1, 0.0, time(23)) is NO
    one.trigger(time(5, 59))
    assert [verdict(one, 1, 0.0, time(6)), verdict(one, 1, 0.0, time(0))] == [NO, YES]


def test_before_its_hours_it_waits_until_they_begin_and_looks_at_the_clock_each_minute() -> None:
    one = schedule(between="08:00-24:00")
    assert one.wait_s(now=0.0, local=time(7, 59, 45)) == 15.0
    assert one.wait_s(now=0.0, local=time(3)) == LONGEST_WAIT_S
    assert verdict(one, 1, 0.0, time(23, 59, 59)) is YES


@pytest.mark.parametrize(("other", "parts"), [(SCENE, 0), (LITTLE, 3), (MUCH, 4)])
def test_changed_parts_are_counted(other: str, parts: int) -> None:
    assert changed_parts(SCENE, other) == parts
