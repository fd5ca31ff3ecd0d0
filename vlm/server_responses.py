"""Response bodies of the server in OpenAI's schema: answers, stream chunks and errors."""

from __future__ import annotations

from typing import Any

from vlm.errors import (
    DeadlinePassed,
    GenerationFailed,
    InvalidRequest,
    OutOfMemory,
    ServerNotReady,
    VlmBusy,
    VlmError,
)
from vlm.generation import TokenScore
from vlm.model import Answer

STATUS = {VlmBusy: 429, DeadlinePassed: 504, ServerNotReady: 503, OutOfMemory: 503, GenerationFailed: 500}


def completion(response_id: str, created: int, model: str, answer: Answer) -> dict[str, Any]:
    """Returns a `chat.completion` object; `created` is in seconds since the epoch."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.text},
        "finish_reason": answer.finish_reason,
        "logprobs": None,
        **_probabilities(answer),
    }
    if answer.scores is not None:
        choice["logprobs"] = {"content": [_token(score) for score in answer.scores]}
    return {
        **_notes(answer),
        "id": response_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": _usage(answer),
    }


def chunk(
    response_id: str, created: int, model: str, text: str | None, answer: Answer | None = None
) -> dict[str, Any]:
    """Returns a `chat.completion.chunk` object: a piece of text, or with `answer` the last chunk."""
    delta = {} if text is None else {"role": "assistant", "content": text}
    reason = answer.finish_reason if answer else None
    piece: dict[str, Any] = {
        "id": response_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }
    if answer is None:
        return piece
    piece["choices"][0].update(_probabilities(answer))
    return {**piece, **_notes(answer), "usage": _usage(answer)}


def error_response(error: VlmError) -> tuple[int, dict[str, Any]]:
    """Returns the HTTP status and the body for an error."""
    status = error.status if isinstance(error, InvalidRequest) else STATUS.get(type(error), 500)
    kind = "invalid_request_error" if isinstance(error, InvalidRequest) else "server_error"
    return status, {"error": {"message": str(error), "type": kind, "code": error.code}}


def _probabilities(answer: Answer) -> dict[str, Any]:
    """The field of a choice that OpenAI's schema does not have."""
    probabilities = answer.choice_probabilities
    return {} if probabilities is None else {"inarvl": {"choice_probabilities": probabilities}}


def _notes(answer: Answer) -> dict[str, Any]:
    """The field of a response that OpenAI's schema does not have."""
    return {"inarvl": {"notes": list(answer.notes)}} if answer.notes else {}


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def _token(score: TokenScore) -> dict[str, Any]:
    alternatives = [_scored(text, logprob) for text, logprob in score.alternatives]
    return {**_scored(score.text, score.logprob), "top_logprobs": alternatives}


def _scored(text: str, logprob: float) -> dict[str, Any]:
    # The log-probability of a masked token is -infinity, which JSON does not have.
    return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}
