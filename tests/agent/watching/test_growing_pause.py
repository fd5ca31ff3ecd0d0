"""A pause grows while something fails, up to a limit, and the failure is reported once."""

from __future__ import annotations

import numpy as np

from agent.watching.growing_pause import JITTER, MAX_S, GrowingPause


def pauses(pause: GrowingPause, count: int, now: float = 0.0) -> tuple[list[float], list[bool], float]:
    lengths, first = [], []
    for _ in range(count):
        first.append(pause.fail(now))
        lengths.append(pause.until - now)
        now = pause.until
    return lengths, first, now


def test_the_pause_doubles_up_to_its_limit_and_only_the_first_failure_is_reported() -> None:
    lengths, first, _ = pauses(GrowingPause(np.random.default_rng(0)), 12)
    expected = [min(MAX_S, 2.0**number) for number in range(12)]
    assert all(
        (1 - JITTER) * usual <= length <= (1 + JITTER) * usual
        for length, usual in zip(lengths, expected, strict=True)
    )
    assert len({round(length % 1, 6) for length in lengths}) == 12
    assert first == [True] + [False] * 11


def test_what_fails_every_other_time_is_not_tried_at_the_shortest_pause() -> None:
    pause = GrowingPause(np.random.default_rng(0))
    _, _, now = pauses(pause, 5)
    assert pause.succeed()
    assert not pause.succeed()
    assert pause.fail(now + 1)
    assert pause.until - now > 16


def test_a_long_success_ends_the_memory_of_the_failure() -> None:
    pause = GrowingPause(np.random.default_rng(0))
    _, _, now = pauses(pause, 5)
    pause.succeed()
    assert pause.fail(now + 100)
    assert pause.until - (now + 100) <= 1 + JITTER
