"""Feedback messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.answering.feedback import Feedback
from agent.answering.known_errors import KnownError
from agent.messages.query import Query
from lab.rig.fuzz.fuzz_door import FuzzDoor, RaisingDoor, Use

DECISION_ID = "ab12cd34" * 4
SEEDS = (
    {"id": "camera-7", "correct": True},
    {"id": "camera-7", "client": "gate", "correct": True},
    {"decision_id": DECISION_ID, "correct": False, "note": "by the operator"},
)


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Passes payloads to the agent's receiver of feedback."""
    feedback = Feedback(lambda _decision, _correct, _weight: True, door=RaisingDoor("feedback"))
    feedback.remember(DECISION_ID, "decision", query=Query("camera-7", "How many?", client="gate"))
    feedback.finished(DECISION_ID, KnownError(0.1, tested=True))

    async def use(data: bytes) -> None:
        feedback.receive(data)
        feedback.receive(data, "gate")

    yield use


DOOR = FuzzDoor("feedback", lambda mutator, rng: mutator.change_json(rng.choice(SEEDS)), opened)
