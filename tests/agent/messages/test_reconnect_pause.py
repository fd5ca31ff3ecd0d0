"""Another client with the same name is noticed, and other losses are not taken for it."""

from __future__ import annotations

from agent.messages.reconnect_pause import SESSION_TAKEN_OVER, SHORT_IN_A_ROW, SHORT_S, ReconnectPause


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lose(pause: ReconnectPause, clock: Clock, lasted_s: float, reason: int | None = None) -> bool:
    pause.connected()
    clock.now += lasted_s
    return pause.taken_over(reason)


def test_the_reason_code_is_believed_at_once() -> None:
    clock = Clock()
    assert lose(ReconnectPause(clock=clock), clock, 3600.0, SESSION_TAKEN_OVER)


def test_without_a_reason_it_takes_several_short_connections_in_a_row() -> None:
    clock = Clock()
    pause = ReconnectPause(clock=clock)
    assert [lose(pause, clock, 1.0) for _ in range(SHORT_IN_A_ROW)] == [False] * (SHORT_IN_A_ROW - 1) + [True]


def test_a_long_connection_a_failed_attempt_or_a_reason_begins_the_count_again() -> None:
    clock = Clock()
    pause = ReconnectPause(clock=clock)
    for _ in range(SHORT_IN_A_ROW):
        assert not lose(pause, clock, 1.0)
        assert not lose(pause, clock, SHORT_S)
        assert not lose(pause, clock, 1.0, 128)
        assert not lose(pause, clock, 1.0)
        pause.failed()
        assert not pause.taken_over(None), "it was not connected"
