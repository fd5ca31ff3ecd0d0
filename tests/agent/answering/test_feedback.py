"""Feedback is checked at the door: who may give it on which answer, and only once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.answering.feedback import MAX_REMEMBERED, OPERATOR, Feedback
from agent.answering.feedback_trust import LIMIT, FeedbackTrust
from agent.answering.known_errors import KnownError
from agent.messages.query import Query
from inarvl.door import Door

AGREED, DIFFERED = KnownError(0.1, tested=True), KnownError(0.85, tested=True)


class Learner:
    """Replaces the answering; `fault` is raised when it learns."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.learned: list[tuple[str, bool]] = []
        self.weights: list[float] = []
        self._fault = fault

    def __call__(self, decision: str, correct: bool, weight: float) -> bool:
        if self._fault is not None:
            raise self._fault
        self.learned.append((decision, correct))
        self.weights.append(weight)
        return True


class Site:
    """A receiver of feedback with its learner."""

    def __init__(self, learner: Learner | None = None, trusted: tuple[str, ...] = ()) -> None:
        self.learner, self.door = learner or Learner(), Door("feedback")
        self.trust = FeedbackTrust(trusted)
        self.messages: list[str] = []
        self.feedback = Feedback(self.learner, trust=self.trust, ignored=self.messages.append, door=self.door)

    def answer(
        self, secret: str, *, query: str = "q", asker: str = "camera", known: KnownError | None = AGREED
    ) -> None:
        self.feedback.remember(secret, f"decision {secret}", query=Query(query, "what?", client=asker))
        if known is not None:
            self.feedback.finished(secret, known)

    def send(self, teller: str | None = None, correct: bool = False, /, **fields: Any) -> bool:
        return self.feedback.receive(json.dumps({**fields, "correct": correct}).encode(), teller)


@pytest.fixture
def site() -> Site:
    site = Site()
    site.answer("d")
    return site


@pytest.mark.parametrize("client", [None, "camera"])
@pytest.mark.parametrize(
    "fields",
    [{"id": "q"}, {"decision_id": "d"}, {"id": "other", "decision_id": "d"}, {"id": "q", "client": "camera"}],
)
def test_feedback_names_a_decision_or_a_query(site: Site, fields: dict[str, str], client: str | None) -> None:
    assert site.send(client, **fields, by="me")
    assert site.learner.learned == [("decision d", False)]
    assert site.door.dropped == 0


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
        b'{"correct": true, "id": "q", "client": "nobody"}',
        b'{"correct": true, "id": ["q"]}',
        b'{"correct": true, "id": {}, "decision_id": []}',
        b'{"correct": true, "decision_id": "decision d"}',
        b'{"correct": true, "decision_id": "\\ud83d"}',
        b'{"correct": true, "decision_id": "' + b"d" * 200 + b'"}',
        b'{"correct": true, "decision_id": "d", "x": "' + b"x" * 5000 + b'"}',
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_an_invalid_message_is_ignored(site: Site, payload: bytes) -> None:
    assert not site.feedback.receive(payload)
    assert (site.learner.learned, site.door.dropped, site.door.faults) == ([], 1, 0)


def test_a_fault_of_the_learner_does_not_leave_the_door() -> None:
    site = Site(Learner(ZeroDivisionError()))
    site.answer("d")
    assert not site.send(id="q")
    assert site.door.faults == 1


@pytest.mark.parametrize("fields", [{"id": "q"}, {"decision_id": "d"}, {"id": "q", "client": "camera"}])
@pytest.mark.parametrize("client", ["other", "camera/", "", "x" * 200, "camera\n"])
def test_a_client_gives_no_feedback_on_answers_to_others(
    site: Site, fields: dict[str, str], client: str
) -> None:
    assert not site.send(client, **fields)
    assert site.learner.learned == []
    assert site.send("camera", **fields), "the asker still can"


@pytest.mark.parametrize("first", [None, "camera"])
@pytest.mark.parametrize("second", [None, "camera"])
@pytest.mark.parametrize("known", [AGREED, None], ids=["answered", "under way"])
def test_each_answer_takes_feedback_once(
    first: str | None, second: str | None, known: KnownError | None
) -> None:
    site = Site()
    site.answer("d", known=known)
    assert site.send(first, decision_id="d")
    assert not site.send(second, decision_id="d")
    assert not site.send(second, True, id="q")
    site.feedback.finished("d", AGREED)
    assert not site.send(second, True, id="q")
    assert site.learner.learned.count(("decision d", False)) == 1


def test_clients_that_use_the_same_query_id_are_told_apart() -> None:
    site = Site()
    site.answer("a", asker="one")
    site.answer("b", asker="two")
    assert not site.send(id="q"), "the operator must say whose answer it is"
    assert site.send("one", id="q")
    assert site.send(id="q", client="two")
    assert [decision for decision, _ in site.learner.learned] == ["decision a", "decision b"]


def test_feedback_that_comes_while_an_audit_runs_waits_for_it() -> None:
    site = Site()
    site.answer("d", known=None)
    assert site.send("camera", id="q")
    assert site.learner.learned == []
    site.feedback.finished("d", DIFFERED)
    assert site.learner.learned == [("decision d", False)]


def test_old_answers_are_forgotten_so_that_memory_is_bounded() -> None:
    site = Site()
    for number in range(MAX_REMEMBERED + 10):
        site.answer(f"d{number}", query=f"q{number}")
    assert not site.send(id="q9")
    assert not site.send(decision_id="d9")
    assert site.send(id="q10")
    assert len(vars(site.feedback)["_sent"]) == len(vars(site.feedback)["_by_query"]) == MAX_REMEMBERED


def test_feedback_of_strangers_counts_nothing_and_that_of_trusted_clients_fully(site: Site) -> None:
    site.send("camera", id="q")
    trusted = Site(trusted=("camera", OPERATOR))
    trusted.answer("d")
    trusted.answer("e")
    trusted.send("camera", decision_id="d")
    trusted.send(decision_id="e")
    assert (site.learner.weights, trusted.learner.weights) == ([0.0], [1.0, 1.0])


def test_a_client_that_contradicts_the_models_is_ignored_and_the_operator_learns_what_to_do() -> None:
    site = Site()
    for number in range(40):
        site.answer(f"d{number}", query=f"q{number}", known=DIFFERED)
        site.send("camera", True, id=f"q{number}")
    (message,) = site.messages
    assert "'camera'" in message
    assert "feedback.trusted" in message
    learned = len(site.learner.learned)
    assert LIMIT < learned < 20
    assert site.learner.weights == [0.0] * learned
    site.answer("own", query="own", known=DIFFERED)
    assert not site.send("camera", False, id="own")
    assert site.send(None, False, id="own"), "what an ignored client sent does not stand for the feedback"
