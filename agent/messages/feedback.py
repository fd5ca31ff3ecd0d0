"""A feedback message: whether an earlier answer was correct."""

from __future__ import annotations

from dataclasses import dataclass

from agent.messages.names import is_name
from inarvl.errors import InarvlError
from vlm.remote_values import parse_json

MAX_BYTES = 4096


class BadFeedback(InarvlError):
    """A feedback message is invalid; the message says what to change."""

    code = "bad_feedback"


@dataclass(frozen=True)
class FeedbackMessage:
    """Names an answer by its decision or by its query, and says whether it was correct.

    Attributes:
        decision_id: None if the message names the query only.
        query_id: None if the message names the decision.
        client: who asked, for an operator whose query id several clients used; None if not said.
    """

    correct: bool
    decision_id: str | None = None
    query_id: str | None = None
    client: str | None = None

    @classmethod
    def from_bytes(cls, payload: bytes) -> FeedbackMessage:
        """Reads `{"id" or "decision_id", "correct": bool}` and optionally `client`; ignores unknown keys.

        Raises:
            BadFeedback: the message is invalid.
        """
        body = parse_json(payload) if len(payload) <= MAX_BYTES else None
        if not isinstance(body, dict):
            raise BadFeedback(f"send a JSON object of at most {MAX_BYTES} bytes")
        correct = body.get("correct")
        if not isinstance(correct, bool):
            raise BadFeedback("correct must be true or false")
        decision_id, query_id = body.get("decision_id"), body.get("id")
        if is_name(decision_id):
            return cls(correct, decision_id=decision_id)
        if is_name(query_id):
            client = body.get("client")
            return cls(correct, query_id=query_id, client=client if is_name(client) else None)
        raise BadFeedback("send the id or the decision_id of a recent answer")
