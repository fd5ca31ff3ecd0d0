"""The reply to a query with `dry_run`: what the agent would decide."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from agent.messages.reply import Answer, BadReply, Refusal, reply_from_bytes


@dataclass(frozen=True)
class Explanation:
    """What the agent would decide about a query.

    Attributes:
        decision: the chosen arm, the reason, and the predictions of every arm, as a JSON object.
        resent, correlation: as in `Answer`.
    """

    id: str
    decision: dict[str, Any]
    resent: bool = False
    correlation: str | None = None

    def to_bytes(self) -> bytes:
        """Returns JSON `{id, decision}`, with `resent` and `correlation` if they are set."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}).encode()


AnyReply = Answer | Refusal | Explanation


def explanation_from_bytes(payload: bytes) -> Explanation | Refusal:
    """Reads the reply to a dry run; unknown fields are ignored.

    Raises:
        BadReply: the payload is neither an explanation nor an error.
    """
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"not a valid reply of an inarvl agent: {error}") from None
    if isinstance(body, dict) and isinstance(body.get("decision"), dict):
        return Explanation(str(body.get("id")), body["decision"], bool(body.get("resent")))
    reply = reply_from_bytes(payload)
    if isinstance(reply, Answer):
        raise BadReply("the agent answered in place of explaining its decision: update it")
    return reply
