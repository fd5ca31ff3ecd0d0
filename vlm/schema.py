"""The OpenAI chat-completions schema, as much of it as a vision-language model can honour."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm.errors import InvalidRequest
from vlm.images import open_data_url

ROLES = ("system", "user", "assistant")
MAX_STOPS = 4
MAX_TOPS = 20


@dataclass(frozen=True)
class Message:
    """One turn; its parts are texts and opened images in their order."""

    role: str
    parts: tuple[str | Image.Image, ...]


@dataclass(frozen=True)
class ChatRequest:
    """A checked request.

    Attributes:
        model: None when the request names none.
        max_tokens: None when the request sets none.
        temperature: 0 is greedy.
        tops: alternatives per token to report log-probabilities of; None reports no log-probabilities.
    """

    model: str | None
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tops: int | None = None
    stream: bool = False

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """Of all messages, in their order; opened, maybe not decoded."""
        parts = (part for message in self.messages for part in message.parts)
        return tuple(part for part in parts if isinstance(part, Image.Image))

    @classmethod
    def from_bytes(cls, body: bytes) -> ChatRequest:
        """Check a request body. Raises InvalidRequest, saying what to do; unknown fields are passed over."""
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise _refused("the body is not JSON", "invalid_json") from None
        if not isinstance(fields, dict):
            raise _refused("the body must be a JSON object", "invalid_json")
        if fields.get("n") not in (None, 1):
            raise _refused("n must be 1; ask again for another answer")
        if fields.get("tools"):
            raise _refused("tools are not supported; leave them out")
        model = fields.get("model")
        if model is not None and not isinstance(model, str):
            raise _refused("model must be a string; /v1/models lists the names")
        limit = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
        tops = _integer(fields, "top_logprobs", 0, MAX_TOPS)
        if tops is not None and not fields.get("logprobs"):
            raise _refused("top_logprobs needs logprobs: true")
        return cls(
            model=model,
            messages=_messages(fields.get("messages")),
            max_tokens=_integer(fields, limit, 1, None),
            temperature=_number(fields, "temperature", 0.0, 2.0, 0.0),
            top_p=_number(fields, "top_p", 0.0, 1.0, 1.0),
            seed=_integer(fields, "seed", None, None),
            stop=_stops(fields.get("stop")),
            tops=(tops or 0) if fields.get("logprobs") else None,
            stream=bool(fields.get("stream")),
        )


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise _refused('messages must be a list such as [{"role": "user", "content": [...]}]')
    messages = tuple(_message(entry, index) for index, entry in enumerate(value))
    parts = [part for message in messages for part in message.parts]
    if not any(isinstance(part, Image.Image) for part in parts):
        raise _refused(
            "no image: add a part with type image_url and a data URL to the user's content", "missing_image"
        )
    if not any(isinstance(part, str) and part.strip() for part in parts):
        raise _refused("no question: add a part with type text to the user's content", "missing_question")
    return messages


def _message(entry: object, index: int) -> Message:
    where = f"messages[{index}]"
    if not isinstance(entry, Mapping) or entry.get("role") not in ROLES:
        raise _refused(f"{where}.role must be one of {', '.join(ROLES)}")
    content = entry.get("content")
    if isinstance(content, str):
        return Message(entry["role"], (content,))
    if not isinstance(content, list):
        raise _refused(f"{where}.content must be a string or a list of parts")
    parts = tuple(_part(part, f"{where}.content[{place}]") for place, part in enumerate(content))
    if entry["role"] != "user" and not all(isinstance(part, str) for part in parts):
        raise _refused(f"{where}: images belong into the user's messages")
    return Message(entry["role"], parts)


def _part(part: object, where: str) -> str | Image.Image:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text" and isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "image_url" and isinstance(part, Mapping):
        reference = part.get("image_url")
        url = reference.get("url") if isinstance(reference, Mapping) else reference
        if isinstance(url, str):
            return open_data_url(url)
    raise _refused(f'{where} must be {{"type": "text", "text": ...}} or {{"type": "image_url", ...}}')


def _stops(value: object) -> tuple[str, ...]:
    stops: Sequence[object] = [] if value is None else [value] if isinstance(value, str) else []
    if isinstance(value, list):
        stops = value
    if len(stops) > MAX_STOPS or not all(isinstance(stop, str) and stop for stop in stops):
        raise _refused(f"stop must be a text or a list of at most {MAX_STOPS} texts")
    return tuple(str(stop) for stop in stops)


def _integer(fields: Mapping[str, Any], name: str, low: int | None, high: int | None) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits or (low is not None and value < low) or (high is not None and value > high):
        bounds = f" from {low}" if low is not None else ""
        raise _refused(f"{name} must be a whole number{bounds}{f' to {high}' if high is not None else ''}")
    return int(value)


def _number(fields: Mapping[str, Any], name: str, low: float, high: float, default: float) -> float:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise _refused(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _refused(message: str, code: str = "invalid_request") -> InvalidRequest:
    return InvalidRequest(message, code)
