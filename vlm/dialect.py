"""How OpenAI-compatible servers differ, and how the client reads each of them.

`VlmClient` does the HTTP; this module builds its requests and reads the replies. To support a quirk of a
server, add it here and to this list, with a case in tests/vlm/client/test_dialect.py.

1. Some servers refuse a request for log-probabilities. The client repeats the request without them, and never
   asks this server for them again.
2. Other servers do not have the endpoints /healthz, /readyz and /probe. The client uses /v1/models instead.
3. A reply may lack the text, `model`, `usage` or `logprobs`. The text is then "", the model is the
   requested one, any other value is None.
4. An error body may be {"error": {"message", "code"}}, {"error": "text"}, another JSON object, or any text.
5. A full queue is status 429, or the error code "busy" with any status.
6. A model list may contain only ids: see `ModelCard.from_json`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vlm.completion import Completion, Confidence, ModelCard
from vlm.errors import VlmBusy, VlmError, VlmRefused, VlmTimeout, VlmUnavailable
from vlm.timing import Timing

MISSING_ENDPOINT = {404, 405, 501}
TIMEOUT = {408, 504}


def chat_request(
    question: str, image: bytes, *, model: str, max_tokens: int, logprobs: bool
) -> dict[str, Any]:
    """Returns the body of a chat completion request: greedy, one image as a data URL, then the question."""
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": [_image_part(image), {"type": "text", "text": question}]}],
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    return {**request, "logprobs": True, "top_logprobs": 2} if logprobs else request


def refuses_logprobs(error: VlmRefused) -> bool:
    """Whether a server refused a request because it asked for log-probabilities."""
    return "logprob" in str(error)


def lacks_endpoint(error: VlmRefused) -> bool:
    """Whether a server refused a request because it does not have the endpoint."""
    return error.status in MISSING_ENDPOINT


def read_completion(
    url: str,
    reply: Mapping[str, Any],
    *,
    requested_model: str,
    latency_ms: float,
    timing: Timing,
    request_bytes: int,
) -> Completion:
    """Reads a `chat.completion` object.

    Raises:
        VlmError: it contains no choice with a message.
    """
    try:
        choice = reply["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise VlmError(f"the reply of {url} contains no choice: {json.dumps(reply)[:200]}") from None
    usage = reply.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    return Completion(
        text=text if isinstance(text, str) else "",
        model=str(reply.get("model") or requested_model),
        latency_ms=latency_ms,
        queue_ms=timing.queue_ms,
        compute_ms=timing.compute_ms,
        confidence=read_confidence(choice.get("logprobs")),
        completion_tokens=tokens if isinstance(tokens, int) else None,
        request_bytes=request_bytes,
    )


def read_confidence(logprobs: object) -> Confidence:
    """Reads a choice's `logprobs` object; if it is missing, empty or malformed, every field is None."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    tokens = [token for token in _objects(content) if _number(token.get("logprob")) is not None]
    if not tokens:
        return Confidence()
    first = next((token for token in tokens if str(token.get("token", "")).strip()), tokens[0])
    alternatives = (_number(entry.get("logprob")) for entry in _objects(first.get("top_logprobs")))
    best = sorted((logprob for logprob in alternatives if logprob is not None), reverse=True)
    margin = math.exp(best[0]) - math.exp(best[1]) if len(best) > 1 else None
    return Confidence(margin, math.fsum(token["logprob"] for token in tokens) / len(tokens), len(tokens))


def read_models(url: str, reply: Mapping[str, Any]) -> list[ModelCard]:
    """Reads the reply to GET /v1/models.

    Raises:
        VlmError: it is no model list.
    """
    entries = reply.get("data")
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise VlmError(f"{url}/v1/models returned no model list; is this an OpenAI-compatible server?")
    return [ModelCard.from_json(entry) for entry in entries]


def read_error(url: str, status: int, retry_after: str | None, body: bytes) -> VlmError:
    """Returns the error for a reply whose status is not 200; `retry_after` is its Retry-After header."""
    message, code = _message_and_code(body)
    message = f"{url}: {message}"
    if status == 429 or code == VlmBusy.code:
        return VlmBusy(message, float(retry_after) if retry_after and retry_after.isdigit() else None)
    if status in TIMEOUT:
        return VlmTimeout(message)
    if 400 <= status < 500 or "logprob" in message:  # some servers refuse log-probabilities with status 500
        return VlmRefused(message, status, code)
    return VlmUnavailable(message)


def _message_and_code(body: bytes) -> tuple[str, str | None]:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if not isinstance(error, Mapping):
        return str(error or body[:300].decode(errors="replace")), None
    code = error.get("code")
    return str(error.get("message") or error), code if isinstance(code, str) else None


def _image_part(image: bytes) -> dict[str, Any]:
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(image).decode()}"},
    }


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    """The JSON objects in a JSON list; none if it is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if valid else None  # type: ignore[arg-type]
