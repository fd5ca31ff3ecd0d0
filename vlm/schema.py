"""Requests in the OpenAI chat-completions schema: parsed and validated, as far as a VLM supports it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm.errors import InvalidRequest
from vlm.images import open_data_url
from vlm.output_format import choices_of

ROLES = ("system", "developer", "user", "assistant")
MAX_STOPS = 4
MAX_STOP_LENGTH = 256
MAX_TOP_LOGPROBS = 20
MAX_TEXT_LENGTH = 100_000
MAX_IMAGES = 16
MAX_PIXELS_TOGETHER = 50_000_000
MIN_TEMPERATURE = 1e-3
MAX_SEED = 2**63 - 1
UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "logit_bias": ({}, []),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "modalities": (["text"],),
    "audio": (),
}
"""Fields that change the answer and are not supported, each with the values that change nothing."""


@dataclass(frozen=True)
class Message:
    """One turn of the conversation; `parts` are texts and opened images in their order."""

    role: str
    parts: tuple[str | Image.Image, ...]


@dataclass(frozen=True)
class ChatRequest:
    """A valid request.

    Attributes:
        model: None if the request names no model.
        max_tokens: None if the request sets no limit.
        temperature: 0 means greedy decoding, as does a value below MIN_TEMPERATURE, at which logits overflow.
        top_logprobs: alternatives per token to report; None reports no log-probabilities at all.
        choices: the possible answers; empty if any answer is possible.
    """

    model: str | None
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    stream: bool = False
    choices: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """The images of all messages in their order: opened, not necessarily decoded."""
        parts = (part for message in self.messages for part in message.parts)
        return tuple(part for part in parts if isinstance(part, Image.Image))

    @classmethod
    def from_bytes(cls, body: bytes) -> ChatRequest:
        """Parses and validates a request body.

        Refuses the fields that would change the answer and are not supported; ignores unknown fields.

        Raises:
            InvalidRequest: the body is invalid; the message says what to change.
        """
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise _invalid("the body is not JSON", "invalid_json") from None
        if not isinstance(fields, dict):
            raise _invalid("the body must be a JSON object", "invalid_json")
        if fields.get("n") not in (None, 1):
            raise _invalid("n must be 1; send another request for another answer")
        if fields.get("tools"):
            raise _invalid("tools are not supported; remove them")
        for name, harmless in UNSUPPORTED.items():
            if fields.get(name) is not None and fields[name] not in harmless:
                raise _invalid(f"{name} is not supported; remove it")
        model = fields.get("model")
        if model is not None and not isinstance(model, str):
            raise _invalid("model must be a string; /v1/models lists the names")
        limit = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
        top_logprobs = _integer(fields, "top_logprobs", 0, MAX_TOP_LOGPROBS)
        if top_logprobs is not None and not fields.get("logprobs"):
            raise _invalid("top_logprobs needs logprobs: true")
        temperature = _number(fields, "temperature", 0.0, 2.0, 0.0)
        stop, choices = _stops(fields.get("stop")), choices_of(fields)
        for choice in choices:
            _check_unicode(choice, "a choice")
            if any(text in choice for text in stop):
                raise _invalid(f"the choice {choice!r} contains a stop text; remove one of them")
        return cls(
            model=model,
            messages=_messages(fields.get("messages")),
            max_tokens=_integer(fields, limit, 1, None),
            temperature=temperature if temperature >= MIN_TEMPERATURE else 0.0,
            top_p=_number(fields, "top_p", 0.0, 1.0, 1.0),
            seed=_integer(fields, "seed", -MAX_SEED, MAX_SEED),
            stop=stop,
            top_logprobs=(top_logprobs or 0) if fields.get("logprobs") else None,
            stream=bool(fields.get("stream")),
            choices=choices,
        )


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise _invalid('messages must be a list such as [{"role": "user", "content": [...]}]')
    if _image_parts(value) > MAX_IMAGES:  # before they are opened
        raise _invalid(f"the request has more than {MAX_IMAGES} images; send fewer", "too_many_images")
    messages = tuple(_message(entry, index) for index, entry in enumerate(value))
    parts = [part for message in messages for part in message.parts]
    if sum(part.width * part.height for part in parts if isinstance(part, Image.Image)) > MAX_PIXELS_TOGETHER:
        raise _invalid(
            f"the images have more than {MAX_PIXELS_TOGETHER} pixels together; send smaller ones",
            "image_too_large",
        )
    if not any(isinstance(part, str) and part.strip() for part in parts):
        raise _invalid("no question: add a part of type text to the user's content", "missing_question")
    if sum(len(part) for part in parts if isinstance(part, str)) > MAX_TEXT_LENGTH:
        raise _invalid(f"the text is longer than {MAX_TEXT_LENGTH} characters; shorten it", "prompt_too_long")
    return messages


def _image_parts(messages: list[Any]) -> int:
    contents = [entry.get("content") for entry in messages if isinstance(entry, Mapping)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(isinstance(part, Mapping) and part.get("type") == "image_url" for part in parts)


def _message(entry: object, index: int) -> Message:
    where = f"messages[{index}]"
    if not isinstance(entry, Mapping) or entry.get("role") not in ROLES:
        raise _invalid(f"{where}.role must be one of {', '.join(ROLES)}")
    role = "system" if entry["role"] == "developer" else entry["role"]
    content = entry.get("content")
    if isinstance(content, str):
        return Message(role, (_check_unicode(content, f"{where}.content"),))
    if not isinstance(content, list):
        raise _invalid(f"{where}.content must be a string or a list of parts")
    parts = tuple(_part(part, f"{where}.content[{place}]") for place, part in enumerate(content))
    if role != "user" and not all(isinstance(part, str) for part in parts):
        raise _invalid(f"{where}: images are allowed in user messages only")
    return Message(role, parts)


def _part(part: object, where: str) -> str | Image.Image:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text" and isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return _check_unicode(part["text"], where)
    if kind == "image_url" and isinstance(part, Mapping):
        reference = part.get("image_url")
        url = reference.get("url") if isinstance(reference, Mapping) else reference
        if isinstance(url, str):
            return open_data_url(url)
    raise _invalid(f'{where} must be {{"type": "text", "text": ...}} or {{"type": "image_url", ...}}')


def _check_unicode(text: str, where: str) -> str:
    """Returns `text`; refuses half of a surrogate pair, which JSON can contain but no tokenizer can read."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise _invalid(
            f"{where} contains \\u{code:04x}, half of a character; send valid Unicode", "invalid_unicode"
        ) from None
    return text


def _stops(value: object) -> tuple[str, ...]:
    stops: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
    if len(stops) > MAX_STOPS or not all(isinstance(stop, str) and stop for stop in stops):
        raise _invalid(f"stop must be a string or a list of at most {MAX_STOPS} strings")
    if any(len(str(stop)) > MAX_STOP_LENGTH for stop in stops):
        raise _invalid(f"a stop text may have at most {MAX_STOP_LENGTH} characters")
    return tuple(_check_unicode(str(stop), "a stop text") for stop in stops)


def _integer(fields: Mapping[str, Any], name: str, low: int | None, high: int | None) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or (low is not None and value < low) or (high is not None and value > high):
        bounds = f" from {low}" if low is not None else ""
        raise _invalid(f"{name} must be an integer{bounds}{f' to {high}' if high is not None else ''}")
    return int(value)


def _number(fields: Mapping[str, Any], name: str, low: float, high: float, default: float) -> float:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise _invalid(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _invalid(message: str, code: str = "invalid_request") -> InvalidRequest:
    return InvalidRequest(message, code)
