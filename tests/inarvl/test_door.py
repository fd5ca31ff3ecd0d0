"""What is invalid or meets a fault inside a door is counted and logged, and does not leave the door."""

from __future__ import annotations

import logging

import pytest

from inarvl.door import LOGGED_AT_ONCE, LOGGED_EVERY_S, MAX_REASON, Door
from inarvl.errors import InarvlError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def send(door: Door, error: BaseException | None) -> None:
    with door.guard("a message"):
        if error is not None:
            raise error


def test_an_invalid_input_is_counted_and_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    door = Door("feedback")
    send(door, None)
    send(door, InarvlError("correct must be true or false"))
    assert (door.dropped, door.faults) == (1, 0)
    assert caplog.messages == ["feedback: ignored a message: correct must be true or false"]


def test_many_invalid_inputs_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    door = Door("feedback", clock=clock)
    for _ in range(1000):
        send(door, InarvlError("no"))
    assert len(caplog.messages) == LOGGED_AT_ONCE
    clock.now += LOGGED_EVERY_S
    send(door, InarvlError("no"))
    assert caplog.messages[LOGGED_AT_ONCE:] == [
        f"feedback: ignored a message: no ({1000 - LOGGED_AT_ONCE} more were not logged)"
    ]
    assert door.dropped == 1001


def test_a_fault_is_logged_with_its_traceback_once_per_place(caplog: pytest.LogCaptureFixture) -> None:
    door = Door("feedback")
    for error in (ZeroDivisionError("here"), ZeroDivisionError("here"), RecursionError("deep")):
        send(door, error)
    assert door.faults == 3
    faults = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in faults] == [True, True]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_ends_the_process_passes_the_door(error: BaseException) -> None:
    with pytest.raises(type(error)):
        send(Door("feedback"), error)


def test_the_log_has_one_bounded_line_per_input(caplog: pytest.LogCaptureFixture) -> None:
    send(Door("feedback"), InarvlError("a\nb\x1b[2J" + "x" * 10_000))
    (line,) = caplog.messages
    assert line.isprintable()
    assert len(line) < MAX_REASON + 100
