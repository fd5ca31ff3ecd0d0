"""What a query is answered with: an answer or an error, never both, never neither."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from inarvl.errors import InarvlError


class BadReply(InarvlError):
    """Bytes that are no reply."""

    code = "bad_reply"


@dataclass(frozen=True)
class Answer:
    """The answer to one query.

    Attributes:
        confidence: how sure its model was, in [0, 1]; None where its server tells no probabilities.
        latency_ms: from the query's arrival to this answer.
        energy_j: what the board spent on it, above idle.
        energy_source: `measured` or `modelled`.
        reason: why it was answered where it was.
        resent: True when the question may have been answered before a restart as well.
    """

    id: str
    answer: str
    tier: str
    model: str
    confidence: float | None
    latency_ms: float
    energy_j: float | None
    energy_source: str | None
    decision_id: str
    reason: str
    resent: bool = False
    correlation: str | None = None

    def to_bytes(self) -> bytes:
        """JSON without the fields that say nothing."""
        return _json(asdict(self))


@dataclass(frozen=True)
class Refusal:
    """Why a query has no answer. `id` is None when the query was too damaged to have one."""

    id: str | None
    code: str
    message: str
    resent: bool = False
    correlation: str | None = None

    @classmethod
    def of(
        cls, error: InarvlError, *, query_id: str | None, resent: bool = False, correlation: str | None = None
    ) -> Refusal:
        """The refusal that carries an error's code and message."""
        return cls(query_id, error.code, str(error), resent, correlation)

    def to_bytes(self) -> bytes:
        """JSON `{id, error: {code, message}}`."""
        body = asdict(self)
        body["error"] = {"code": body.pop("code"), "message": body.pop("message")}
        return _json(body)


Reply = Answer | Refusal


def reply_from_bytes(payload: bytes) -> Reply:
    """Read a reply, ignoring fields it does not know.

    Raises:
        BadReply: the payload is no reply.
    """
    try:
        body = json.loads(payload)
        if "error" in body:
            body |= body.pop("error")
            return Refusal(**_known(Refusal, {"id": None} | body))
        return Answer(**_known(Answer, {"confidence": None, "energy_j": None, "energy_source": None} | body))
    except (ValueError, TypeError) as error:
        raise BadReply(f"not a reply of an inarvl agent: {error}") from None


def _json(body: dict[str, Any]) -> bytes:
    keep = {name: value for name, value in body.items() if value is not None and value is not False}
    return json.dumps(keep).encode()


def _known(kind: type[Answer] | type[Refusal], body: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in body.items() if name in names}
