"""A model's answer and the card that introduces it, as any OpenAI-compatible server sends them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlm.errors import VlmError


@dataclass(frozen=True)
class Confidence:
    """What the model's own token probabilities say about its answer; None where the server tells none.

    Attributes:
        first_token_margin: p(best) - p(second) of the first answer token that is not blank, in [0, 1].
        mean_logprob: mean over the answer's tokens, in nats.
        tokens: how many tokens the mean is over.
    """

    first_token_margin: float | None = None
    mean_logprob: float | None = None
    tokens: int | None = None

    @classmethod
    def from_logprobs(cls, logprobs: object) -> Confidence:
        """Read a choice's `logprobs` object; a missing, empty or misshapen one gives a Confidence of None."""
        content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
        steps = [step for step in _list(content) if _number(step.get("logprob")) is not None]
        if not steps:
            return cls()
        first = next((step for step in steps if str(step.get("token", "")).strip()), steps[0])
        tops = (_number(top.get("logprob")) for top in _list(first.get("top_logprobs")))
        best = sorted((top for top in tops if top is not None), reverse=True)
        margin = math.exp(best[0]) - math.exp(best[1]) if len(best) > 1 else None
        return cls(margin, math.fsum(step["logprob"] for step in steps) / len(steps), len(steps))


@dataclass(frozen=True)
class Completion:
    """One answer.

    Attributes:
        text: the answer.
        model: the model that gave it, as the server names it.
        latency_ms: the whole call as the caller saw it.
        queue_ms: time in the server's queue, None when it does not tell.
        compute_ms: time the server worked on it, None when it does not tell.
        confidence: see Confidence.
        completion_tokens: None when the server does not count.
        request_bytes: size of the HTTP body sent.
    """

    text: str
    model: str
    latency_ms: float
    queue_ms: float | None
    compute_ms: float | None
    confidence: Confidence
    completion_tokens: int | None
    request_bytes: int


@dataclass(frozen=True)
class ModelCard:
    """What a server says about one of its models.

    Attributes:
        id: its name on that server.
        resolutions: longest image sides in pixels it is meant for; empty when the server does not tell.
        max_tokens: most output tokens a request may ask for.
        quantization: "nf4", "int8" or "none".
        parameters: how many weights it has.
    """

    id: str
    resolutions: tuple[int, ...] = ()
    max_tokens: int | None = None
    quantization: str | None = None
    parameters: int | None = None

    def to_json(self) -> dict[str, Any]:
        """An entry of /v1/models."""
        return {
            "id": self.id,
            "object": "model",
            "created": 0,
            "owned_by": "inarvl",
            "inarvl": {
                "resolutions": list(self.resolutions),
                "max_tokens": self.max_tokens,
                "quantization": self.quantization,
                "parameters": self.parameters,
            },
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ModelCard:
        """Read an entry of /v1/models; a foreign server's has only an id. Raises VlmError without one."""
        if not isinstance(entry.get("id"), str):
            raise VlmError("/v1/models lists a model without an id; is this an OpenAI-compatible server?")
        told = entry.get("inarvl")
        told = told if isinstance(told, Mapping) else {}
        sides = told.get("resolutions")
        quantization = told.get("quantization")
        return cls(
            id=entry["id"],
            resolutions=tuple(side for side in sides if _count(side)) if isinstance(sides, list) else (),
            max_tokens=_count(told.get("max_tokens")),
            quantization=quantization if isinstance(quantization, str) else None,
            parameters=_count(told.get("parameters")),
        )


def _list(value: object) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None  # type: ignore[arg-type]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
