"""Feedback is checked at the door: an invalid message is ignored, and ends nothing."""

from __future__ import annotations

import json

import pytest

from agent.answering.feedback import Feedback
from inarvl.door import Door


class Learner:
    """Replaces the answering; `fault` is raised when it learns."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.learned: list[tuple[str, bool]] = []
        self._fault = fault

    def __call__(self, decision_id: str, correct: bool) -> bool:
        if self._fault is not None:
            raise self._fault
        self.learned.append((decision_id, correct))
        return True


def feedback(learner: Learner, door: Door) -> Feedback:
    receiver = Feedback(learner, door=door)
    receiver.remember("q", "d")
    return receiver


@pytest.mark.parametrize("fields", [{"id": "q"}, {"decision_id": "d"}, {"id": "other", "decision_id": "d"}])
def test_feedback_names_a_decision_or_a_query(fields: dict[str, str]) -> None:
    learner, door = Learner(), Door("feedback")
    assert feedback(learner, door).receive(json.dumps({**fields, "correct": False, "by": "me"}).encode())
    assert learner.learned == [("d", False)]
    assert door.dropped == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 1000,
        b"[" * 100_000,
        b'{"a":' * 1000,
        b"9" * 5000,
        b"",
        b"\xff\xfe",
        b"NaN",
        b"[]",
        b'{"correct": 1, "id": "q"}',
        b'{"correct": true}',
        b'{"correct": true, "id": "unknown"}',
        b'{"correct": true, "id": ["q"]}',
        b'{"correct": true, "id": {}, "decision_id": []}',
        b'{"correct": true, "decision_id": "\\ud83d"}',
        b'{"correct": true, "decision_id": "' + b"d" * 200 + b'"}',
        b'{"correct": true, "decision_id": "d", "x": "' + b"x" * 5000 + b'"}',
    ],
    ids=lambda payload: repr(payload[:30]),
)
def test_an_invalid_message_is_ignored(payload: bytes) -> None:
    learner, door = Learner(), Door("feedback")
    assert not feedback(learner, door).receive(payload)
    assert (learner.learned, door.dropped, door.faults) == ([], 1, 0)


def test_a_fault_of_the_learner_does_not_leave_the_door() -> None:
    door = Door("feedback")
    assert not feedback(Learner(ZeroDivisionError()), door).receive(b'{"correct": true, "id": "q"}')
    assert door.faults == 1
