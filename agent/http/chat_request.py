"""A request in OpenAI's chat-completions schema, read as a query.

1. The texts of all messages, in their order, are the question; the images in them are its images.
2. Fields that would change the form of the reply and that the agent cannot honour are refused. Those that
   only change how a model samples (`temperature`, `top_p`, `seed`, ...) are ignored.
3. Fields that OpenAI's schema does not have are in the object `inarvl`: those of a query over MQTT.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.http.chat_content import content_of
from agent.http.deadline import deadline_ms
from agent.http.errors import HttpError, bad_field
from agent.http.models import pin_of
from agent.http.placeholder import PLAIN_PICTURE
from agent.messages.query import BadQuery, Query
from inarvl.quoting import quoted

UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "stop": ([], ""),
    "modalities": (["text"],),
    "audio": (),
}
"""Fields that are refused, each with the values that change nothing."""
WORD = re.compile(r"[a-z_]+")
OWN_FIELDS = ("id", "pin", "priority", "answer", "choices", "schema")
PARAMS: Mapping[str, str] = {
    "missing_question": "messages",
    "bad_image": "messages",
    "too_many_images": "messages",
    "unknown_pin": "inarvl.pin",
}
"""The field that a query's error is about."""


@dataclass(frozen=True)
class ChatRequest:
    """A valid request.

    Attributes:
        in_stream: whether the answer is sent as server-sent events.
        has_image: if not, the query has a plain picture, because models need one.
    """

    query: Query
    in_stream: bool
    has_image: bool

    @classmethod
    def from_bytes(
        cls, body: bytes, headers: Mapping[str, str], *, client: str, max_images: int
    ) -> ChatRequest:
        """Reads a request.

        Args:
            client: who asks.
            max_images: most images of a query.

        Raises:
            HttpError: the request is invalid; the message and `param` say what to change.
        """
        fields = _object(body)
        for name, harmless in UNSUPPORTED.items():
            if fields.get(name) is not None and fields[name] not in harmless:
                raise bad_field(f"{name} is not supported: remove it", name)
        texts, images = content_of(fields.get("messages"), max_images)
        limit = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
        own = _own(fields.get("inarvl"))
        pin = pin_of(fields.get("model"))
        if pin and "pin" in own and own["pin"] != pin.get("pin"):
            raise bad_field(
                "the model and inarvl.pin both say who may answer: remove one of them", "inarvl.pin"
            )
        asked = {
            **_form(fields.get("response_format"), own),
            **own,
            **pin,
            "question": "\n".join(texts),
            "client": client,
            "max_tokens": fields.get(limit),
            "deadline_ms": deadline_ms(headers, fields.get("timeout")),
        }
        try:
            query = Query.from_fields(asked, images=images or (PLAIN_PICTURE,))
        except BadQuery as error:
            raise HttpError(error.code, str(error), param=_param(error, own, limit)) from None
        return cls(query, _flag(fields, "stream"), bool(images))


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise HttpError("bad_json", "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise HttpError("bad_json", "the body must be a JSON object")
    return fields


def _own(value: object) -> dict[str, Any]:
    """Returns the fields of a query that the object `inarvl` has."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_field("inarvl must be an object", "inarvl")
    unknown = [name for name in value if name not in OWN_FIELDS]
    if unknown:
        name = f"inarvl.{unknown[0][:40]}"
        raise HttpError(
            "unknown_field", f"unknown field {quoted(name)}: known are {', '.join(OWN_FIELDS)}", param=name
        )
    return {name: field for name, field in value.items() if field is not None}


def _form(value: object, own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a query for a `response_format`."""
    match value:
        case None | {"type": "text"}:
            return {}
        case {"type": "json_object"}:
            form: dict[str, Any] = {"answer": "json"}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            form = {"answer": "json", "schema": schema}
        case _:
            raise bad_field(
                "response_format must be of type text, json_object or json_schema, the last with "
                'json_schema: {"name": ..., "schema": {...}}',
                "response_format",
            )
    if {"answer", "choices", "schema"} & own.keys():
        raise bad_field(
            "response_format and inarvl.answer cannot be combined: send one of them", "response_format"
        )
    return form


def _param(error: BadQuery, own: Mapping[str, Any], limit: str) -> str | None:
    """Returns the field of the request that a query's error is about: the first that its message names."""
    if error.code in PARAMS:
        return PARAMS[error.code]
    known = {
        "question": "messages",
        "max_tokens": limit,
        "arm": "model",
        "schema": "response_format",
        "deadline_ms": "timeout",
        **{name: f"inarvl.{name}" for name in own},
    }
    return next((known[word] for word in WORD.findall(str(error)) if word in known), None)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value not in (None, True, False):
        raise bad_field(f"{name} must be true or false", name)
    return bool(value)
