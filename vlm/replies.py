"""Reads the replies of any OpenAI-compatible server: answers, model lists and errors.

Every function here accepts any JSON and raises a VlmError only. A reply is an answer only if its text is more
than whitespace; otherwise VlmRefused names the reason.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from inarvl.redaction import redacted, redacted_json
from vlm.completion import MAX_ID_LENGTH, MAX_TOKENS, Completion, Confidence, ModelCard
from vlm.dialect import names_refused_field
from vlm.errors import VlmBusy, VlmDenied, VlmError, VlmRefused, VlmTimeout, VlmUnavailable
from vlm.remote_values import clean_text, count, finite, objects, parse_json, retry_after_s
from vlm.timing import Timing

log = logging.getLogger(__name__)

TIMEOUT = {408, 504}
MAX_MESSAGE = 500
MAX_MODELS = 16
MAX_ANSWER_LENGTH = 32_768
MAX_MODEL_ENTRIES = 10_000
MAX_SCORED_TOKENS = 4096
MAX_CHOICES = 64
MIN_LOGPROB = -9999.0  # as servers report a masked token
ROUNDING = 1e-3  # of probabilities
MAX_LOGPROB = 1e-3  # rounding; a log-probability is at most 0

THOUGHT = re.compile(r"\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)
THOUGHT_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
QUOTA = re.compile(
    r"quota|billing|\bcredits?\b|\bbalance\b|payment|prepaid|spend(ing)?.?(limit|cap)|budget|plan limit",
    re.IGNORECASE,
)
FLAGGED = re.compile(r"moderat|flagged|content.?(policy|filter)|safety", re.IGNORECASE)  # of one question
MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)
NO_BACKEND = re.compile(r"no (healthy )?deployments? available", re.IGNORECASE)  # LiteLLM's proxy
FILTERED = ("content_filter", "safety", "recitation", "prohibited_content", "blocklist")
BLANK = "\u200b\u2060\ufeff\0"  # invisible, but no whitespace for str.strip


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
        VlmError: it contains no choice with a message, or an error instead.
        VlmRefused: it contains no answer; the message has the reason.
    """
    choice = next(iter(objects(reply.get("choices"), 1)), {})
    message = choice.get("message")
    if choice.get("error"):
        raise error_in_reply(url, choice)
    if not isinstance(message, Mapping):
        if reply.get("error"):
            raise error_in_reply(url, reply)
        raise VlmError(f"the reply of {url} contains no choice with a message; its fields: {_keys(reply)}")
    usage = reply.get("usage")
    used = usage if isinstance(usage, Mapping) else {}
    return Completion(
        text=_answer(url, choice, message),
        model=clean_text(reply.get("model"), MAX_ID_LENGTH) or requested_model,
        latency_ms=latency_ms,
        queue_ms=timing.queue_ms,
        compute_ms=timing.compute_ms,
        confidence=read_confidence(choice.get("logprobs")),
        completion_tokens=count(used.get("completion_tokens"), MAX_TOKENS),
        request_bytes=request_bytes,
        choice_probabilities=_choice_probabilities(_extension(choice)),
        prompt_tokens=count(used.get("prompt_tokens"), MAX_TOKENS),
        first_token=read_first_token(choice.get("logprobs")),
    )


def read_confidence(logprobs: object) -> Confidence:
    """Reads a choice's `logprobs` object; if it is missing, empty or malformed, every field is None."""
    if not isinstance(logprobs, Mapping):
        return Confidence()
    tokens = _scored_tokens(logprobs)
    if not tokens:
        return _legacy_confidence(logprobs.get("token_logprobs"))
    best = sorted((probability for _, probability in _alternatives(tokens)), reverse=True)
    # A constrained answer may begin with a token that is not the best one, of which the margin says nothing.
    chosen = math.exp(_first_token(tokens)[1])
    margin = best[0] - best[1] if len(best) > 1 and chosen > best[0] - ROUNDING else None
    return Confidence(margin, math.fsum(logprob for _, logprob in tokens) / len(tokens), len(tokens))


def read_first_token(logprobs: object) -> dict[str, float]:
    """Reads the probabilities of the first token that is not blank; of tokens with one text, their sum."""
    tokens = _scored_tokens(logprobs) if isinstance(logprobs, Mapping) else []
    probabilities: dict[str, float] = {}
    for text, probability in _alternatives(tokens):
        probabilities[text] = probabilities.get(text, 0.0) + probability
    return probabilities


def _scored_tokens(logprobs: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], float]]:
    """Returns the valid entries of `content`, each with its log-probability."""
    return [
        (entry, logprob)
        for entry in objects(logprobs.get("content"), MAX_SCORED_TOKENS)
        if (logprob := _logprob(entry.get("logprob"))) is not None
    ]


def _alternatives(tokens: Sequence[tuple[Mapping[str, Any], float]]) -> list[tuple[str, float]]:
    """Returns text and probability of the first token that is not blank, and of its alternatives."""
    if not tokens:
        return []
    first, _ = _first_token(tokens)
    return [
        (clean_text(entry.get("token"), 100), math.exp(logprob))
        for entry in objects(first.get("top_logprobs"), 20)
        if (logprob := _logprob(entry.get("logprob"))) is not None
    ]


def _first_token(tokens: Sequence[tuple[Mapping[str, Any], float]]) -> tuple[Mapping[str, Any], float]:
    """Returns the first token that is not blank, else the first one."""
    return next((token for token in tokens if clean_text(token[0].get("token"), 100).strip()), tokens[0])


def read_models(url: str, reply: object) -> list[ModelCard]:
    """Reads the reply to GET /v1/models; ignores invalid entries and duplicates.

    Raises:
        VlmError: it is no model list.
    """
    entries = reply.get("data") if isinstance(reply, Mapping) else reply
    if not isinstance(entries, list):
        raise VlmError(f"{url} returned no model list; is this an OpenAI-compatible server?")
    cards: dict[str, ModelCard] = {}
    for entry in objects(entries, MAX_MODEL_ENTRIES):
        with suppress(VlmError):
            card = ModelCard.from_json(entry)
            cards.setdefault(card.id, card)
    if entries and not cards:
        raise VlmError(
            f"{url} returned a model list without a valid id; is this an OpenAI-compatible server?"
        )
    if len(cards) < len(entries):
        log.warning(
            "%s: %d entries of the model list are invalid or duplicates", url, len(entries) - len(cards)
        )
    return list(cards.values())


def first_models(url: str, cards: Sequence[ModelCard]) -> list[ModelCard]:
    """Returns the first MAX_MODELS models."""
    if len(cards) > MAX_MODELS:
        log.warning(
            "%s: the first %d of %d models are used; name the ones to use in the configuration",
            url,
            MAX_MODELS,
            len(cards),
        )
    return list(cards[:MAX_MODELS])


def read_error(url: str, status: int, retry_after: str | None, body: bytes) -> VlmError:
    """Returns the error for a reply whose status is not 200; `retry_after` is its Retry-After header."""
    parsed = redacted_json(parse_json(body))
    text, code = _message_and_code(parsed)
    text = text or clean_text(redacted(body.decode(errors="replace"))[: 2 * MAX_MESSAGE])
    return _error(url, status, retry_after, text, code)


def error_in_reply(url: str, reply: Mapping[str, Any]) -> VlmError:
    """Returns the error for a reply with status 200 that contains an `error`."""
    error = reply.get("error")
    status = error.get("code") if isinstance(error, Mapping) else None
    text, code = _message_and_code(reply)
    return _error(url, status if isinstance(status, int) and 400 <= status < 600 else 400, None, text, code)


def _error(url: str, status: int, retry_after: str | None, text: str, code: str | None) -> VlmError:
    message = f"{url}: {' '.join(text.split())[:MAX_MESSAGE] or f'status {status}'}"
    if status == 429 and NO_BACKEND.search(text):
        return VlmUnavailable(message, status)
    if _is_denied(status, text, code):
        about_model = status in (401, 403) and MODEL.search(text) is not None
        wait_s = retry_after_s(retry_after)
        return VlmDenied(message, status, code, model_only=about_model, retry_after_s=wait_s)
    if status == 429 or code == VlmBusy.code:
        return VlmBusy(message, retry_after_s(retry_after))
    if status in TIMEOUT:
        return VlmTimeout(message)
    if 400 <= status < 500 or names_refused_field(text):
        return VlmRefused(message, status, code)
    return VlmUnavailable(message, status)


def _is_denied(status: int, text: str, code: str | None) -> bool:
    """Whether the caller is refused, not only this request."""
    if status == 403:
        return FLAGGED.search(f"{text} {code}") is None and not names_refused_field(text)
    return status in (401, 402) or (status == 429 and QUOTA.search(f"{text} {code}") is not None)


def _message_and_code(body: object) -> tuple[str, str | None]:
    """Finds the message of an error body, with the names of the fields it concerns, and the error code."""
    if isinstance(body, list):
        body = next(iter(objects(body, 1)), None)
    if not isinstance(body, Mapping):
        return "", None
    error = body.get("error") or body
    if not isinstance(error, Mapping):
        return clean_text(error, MAX_MESSAGE), None
    parts = [clean_text(error.get(key), MAX_MESSAGE) for key in ("message", "detail", "title")]
    for invalid in objects(error.get("detail"), 8):
        loc = invalid.get("loc")
        place = ".".join(clean_text(part, 40) for part in loc[:8]) if isinstance(loc, list) else ""
        if reason := clean_text(invalid.get("msg"), 200):
            parts.append(f"{place}: {reason}")
    metadata = error.get("metadata")
    if isinstance(metadata, Mapping):  # of a gateway, around the error of its provider
        parts.append(clean_text(metadata.get("raw"), MAX_MESSAGE))
    param = clean_text(error.get("param"), 80)
    text = "; ".join(part for part in parts if part)
    if param and param not in text:
        text = f"{text} (field {param})"
    code = error.get("code")
    return text, clean_text(code, 80) if isinstance(code, str) else None


def _answer(url: str, choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """Returns the answer's text without the model's thoughts.

    Raises:
        VlmRefused: there is no answer.
    """
    finish = clean_text(choice.get("finish_reason"), 80).lower()
    text, refusal = _text_and_refusal(message)
    refusal = clean_text(message.get("refusal"), MAX_MESSAGE).strip() or refusal
    thoughts = ("reasoning_content", "reasoning", "thinking")
    thought = any(clean_text(message.get(key), 1000).strip() for key in thoughts)
    if (end := _last(THOUGHT_END.finditer(text))) is not None:
        text, thought = text[end.end() :].strip(), True
    elif THOUGHT.match(text):
        text, thought = "", True
    if refusal:
        raise _no_answer(url, "refusal", f"the model refuses to answer: {refusal}")
    if finish.startswith(FILTERED):
        raise _no_answer(url, "content_filter", f"the server's content filter ended the answer ({finish})")
    if len(text) > MAX_ANSWER_LENGTH:
        raise _no_answer(url, "too_long", f"the answer has over {MAX_ANSWER_LENGTH} characters")
    if text.strip().strip(BLANK).strip():
        return text
    calls = objects(message.get("tool_calls"), 1) or objects([message.get("function_call")], 1)
    if calls:
        function = calls[0].get("function", calls[0])
        name = clean_text(function.get("name"), 80) if isinstance(function, Mapping) else ""
        raise _no_answer(url, "tool_call", f"the model called the tool {name!r} instead of giving an answer")
    if thought:
        raise _no_answer(
            url,
            "reasoning",
            "the reply has the model's thoughts but no answer; raise max_tokens or turn off its thinking",
        )
    if finish == "length":
        raise _no_answer(url, "length", "the reply reached its token limit before any text; raise max_tokens")
    raise _no_answer(url, "empty", "the answer is empty")


def _no_answer(url: str, reason: str, text: str) -> VlmRefused:
    return VlmRefused(f"{url}: {text}", 200, reason)


def _text_and_refusal(message: Mapping[str, Any]) -> tuple[str, str]:
    content = message.get("content")
    if not isinstance(content, list):
        return clean_text(content), ""
    texts, refusals = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(clean_text(part))
        elif isinstance(part, Mapping) and part.get("type", "text") in ("text", "output_text"):
            texts.append(clean_text(part.get("text")))
        elif isinstance(part, Mapping):
            refusals.append(clean_text(part.get("refusal"), MAX_MESSAGE).strip())
    return "".join(texts), " ".join(filter(None, refusals))[:MAX_MESSAGE]


def _last(matches: Iterable[re.Match[str]]) -> re.Match[str] | None:
    last = None
    for match in matches:
        last = match
    return last


def _legacy_confidence(values: object) -> Confidence:
    """Reads log-probabilities in the schema of text completions, which some servers use for chat too."""
    listed = values[:MAX_SCORED_TOKENS] if isinstance(values, list) else []
    logprobs = [logprob for value in listed if (logprob := _logprob(value)) is not None]
    return Confidence(None, math.fsum(logprobs) / len(logprobs), len(logprobs)) if logprobs else Confidence()


def _logprob(value: object) -> float | None:
    logprob = finite(value, -1e308, MAX_LOGPROB)
    return None if logprob is None else min(max(logprob, MIN_LOGPROB), 0.0)


def _extension(choice: Mapping[str, Any]) -> object:
    """Returns the field that OpenAI's schema does not have; LiteLLM moves it into another one."""
    moved = choice.get("provider_specific_fields")
    return choice.get("inarvl") or (moved.get("inarvl") if isinstance(moved, Mapping) else None)


def _choice_probabilities(extension: object) -> dict[str, float] | None:
    values = extension.get("choice_probabilities") if isinstance(extension, Mapping) else None
    if not isinstance(values, Mapping) or not 0 < len(values) <= MAX_CHOICES:
        return None
    read = {clean_text(name): finite(value, 0.0, 1.0) for name, value in values.items()}
    valid = {name: value for name, value in read.items() if value is not None}
    return valid if len(valid) == len(values) else None


def _keys(reply: Mapping[str, Any]) -> str:
    return ", ".join(clean_text(key, 40) for key in list(reply)[:10]) or "none"
