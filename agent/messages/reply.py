"""The reply to a query: exactly one of an answer and an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from inarvl.errors import InarvlError

MAX_MESSAGE = 1000


class BadReply(InarvlError):
    """The bytes are not a valid reply."""

    code = "bad_reply"


@dataclass(frozen=True)
class Answer:
    """The answer to one query.

    Attributes:
        confidence: the model's confidence, in [0, 1]; None if its server returns no probabilities.
        latency_ms: time from the query's arrival to this answer.
        energy_j: energy that the board used for it, above idle.
        energy_source: `measured` or `modelled`.
        reason: why this tier answered.
        cost: what the calls for it have cost, in units of `currency`; None if a model has no price.
        currency: three letters, as in ISO 4217.
        cost_source: `counted` or `estimated`.
        value: the answer in the form that the query named: a bool, a number, a choice, text or JSON; None if
            the query named none, or the answer is unknown or unreadable.
        warning: why the answer should not be relied on; None if nothing speaks against it.
        resent: the query may have been answered before a restart already.
        correlation: the query's field `correlation`.
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
    value: Any = None
    warning: str | None = None
    resent: bool = False
    correlation: str | None = None
    cost: float | None = None
    currency: str | None = None
    cost_source: str | None = None

    def to_bytes(self) -> bytes:
        """Returns JSON without the fields that are None, and without `resent` if it is False."""
        return _json({**vars(self)})


@dataclass(frozen=True)
class Refusal:
    """An error instead of an answer. `id` is None if the query has no readable one."""

    id: str | None
    code: str
    message: str
    resent: bool = False
    correlation: str | None = None

    @classmethod
    def of(
        cls, error: InarvlError, *, query_id: str | None, resent: bool = False, correlation: str | None = None
    ) -> Refusal:
        """Returns the refusal with the code and the message of `error`, of at most MAX_MESSAGE characters."""
        return cls(query_id, error.code, str(error)[:MAX_MESSAGE], resent, correlation)

    def to_bytes(self) -> bytes:
        """Returns JSON `{id, error: {code, message}}`."""
        body = {**vars(self)}
        body["error"] = {"code": body.pop("code"), "message": body.pop("message")}
        return _json(body)


Reply = Answer | Refusal


def reply_from_bytes(payload: bytes) -> Reply:
    """Reads a reply; unknown fields are ignored.

    Raises:
        BadReply: the payload is not a valid reply.
    """
    try:
        body = json.loads(payload)
        if "error" in body:
            body |= body.pop("error")
            return Refusal(**_known_fields(Refusal, {"id": None} | body))
        return Answer(
            **_known_fields(Answer, {"confidence": None, "energy_j": None, "energy_source": None} | body)
        )
    except (ValueError, TypeError) as error:
        raise BadReply(f"not a valid reply of an inarvl agent: {error}") from None


def _json(body: dict[str, Any]) -> bytes:
    if not body["resent"]:
        del body["resent"]
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def _known_fields(kind: type[Answer] | type[Refusal], body: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in body.items() if name in names}
