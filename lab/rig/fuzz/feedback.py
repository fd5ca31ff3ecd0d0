"""Feedback messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.answering.feedback import Feedback
from lab.rig.fuzz.fuzz_door import FuzzDoor, RaisingDoor, Use

SEEDS = (
    {"id": "camera-7", "correct": True},
    {"decision_id": "ab12cd34-17", "correct": False, "note": "by the operator"},
)


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Passes payloads to the agent's receiver of feedback."""
    feedback = Feedback(lambda _decision, _correct: True, door=RaisingDoor("feedback"))
    feedback.remember("camera-7", "ab12cd34-17")

    async def use(data: bytes) -> None:
        feedback.receive(data)

    yield use


DOOR = FuzzDoor("feedback", lambda mutator, rng: mutator.change_json(rng.choice(SEEDS)), opened)
