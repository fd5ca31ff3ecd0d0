"""Explains what would be decided about a question, without asking any model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agent.answering.answering import Answering
from agent.answering.question import Question
from controller import DecisionLike, Prediction


async def explanation(answering: Answering, question: Question, *, expires_at: float) -> dict[str, Any]:
    """Returns the decision about `question` as a JSON object.

    It has the chosen arm, the reason, and of every arm what the controller predicts and why it is ruled out;
    `resting` names the servers whose arms are missing because they cannot be asked.

    Raises:
        LocalOnly, CloudCallsSpent, NoArm: the question would get this error.
    """
    decision = await answering.preview(question, expires_at=expires_at)
    return {
        "mode": answering.mode,
        "arm": decision.arm.id,
        "tier": decision.arm.tier,
        "reason": decision.reason,
        "propensity": decision.propensity,
        "arms": arms_of(decision),
        "resting": answering.resting(question),
    }


def arms_of(decision: DecisionLike) -> list[dict[str, Any]]:
    """Returns the predictions of every arm, those that can be used first, the lowest score first."""
    ordered = sorted(decision.predictions.items(), key=lambda item: _rank(item[1]))
    return [{"arm": arm, **_known(prediction)} for arm, prediction in ordered]


def _known(prediction: Prediction) -> dict[str, Any]:
    """Returns what is known of an arm; `risk` is the share of the reference's accuracy that it may lose."""
    fields = {name: value for name, value in asdict(prediction).items() if value is not None}
    return {**fields, "risk": 1.0 - prediction.quality}


def _rank(prediction: Prediction) -> tuple[bool, float]:
    score = prediction.score
    return prediction.blocked is not None, float("inf") if score is None else score
