"""A question about an image, as cameras and robots send it."""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote, urlparse

from agent.messages.names import MAX_LENGTH, is_name, is_topic_level
from agent.messages.topics import ANYONE
from inarvl.errors import InarvlError

FIELDS = (
    "id",
    "question",
    "image",
    "image_url",
    "deadline_ms",
    "pin",
    "max_tokens",
    "priority",
    "client",
    "response_topic",
    "correlation",
)
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
LONGEST_QUESTION = 4000
MOST_PRIORITY, USUAL_PRIORITY = 9, 4


class BadQuery(InarvlError):
    """A query that cannot be worked on, with the code and the sentence its sender is answered with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Query:
    """One question about one image.

    Attributes:
        id: chosen by the sender, or made here.
        image: the encoded JPEG or PNG itself, or
        image_path: the file on this device that holds it.
        deadline_ms: how long after its arrival the answer is still of use.
        pin: the only tier that may answer, for privacy (`local`) or quality (`cloud`).
        priority: from 0 to 9; when not all can be answered in time, those of less are shed first.
        client: who asks; names the default answer topic.
        response_topic, correlation: mirror the MQTT 5 properties for MQTT 3.1.1 senders.
    """

    id: str
    question: str
    image: bytes | None = None
    image_path: Path | None = None
    deadline_ms: float | None = None
    pin: Literal["local", "cloud"] | None = None
    max_tokens: int | None = None
    priority: int = USUAL_PRIORITY
    client: str = ANYONE
    response_topic: str | None = None
    correlation: str | None = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], image: bytes | None = None) -> Query:
        """Check what `read_payload` found.

        Raises:
            BadQuery: what is wrong with it and what to do.
        """
        unknown = [name for name in fields if name not in FIELDS]
        if unknown:
            raise BadQuery("unknown_field", _unknown(unknown[0]))
        if image is None:
            image = _decoded(fields.get("image"))
        elif "image" in fields or "image_url" in fields:
            raise BadQuery("bad_field", "the payload is the image: remove image and image_url")
        question = fields.get("question")
        if not isinstance(question, str) or not question.strip():
            raise BadQuery("missing_question", "there is no question: add one as a non-empty string")
        if len(question) > LONGEST_QUESTION:
            raise BadQuery("bad_field", f"question has over {LONGEST_QUESTION} characters: shorten it")
        path = _path(fields.get("image_url"))
        if (image is None) == (path is None):
            raise BadQuery(
                "missing_image",
                "no image, or two: add exactly one of image (base64) and image_url (file:)",
            )
        pin = fields.get("pin")
        if pin not in (None, "local", "cloud"):
            raise BadQuery("unknown_pin", f"pin {pin!r} is not known: use local, cloud, or leave it out")
        deadline_ms = _number(fields, "deadline_ms")
        if deadline_ms is not None and deadline_ms <= 0:
            raise BadQuery("deadline_expired", "deadline_ms is not above 0: give the time that is left")
        max_tokens = _number(fields, "max_tokens")
        if max_tokens is not None and max_tokens < 1:
            raise BadQuery("bad_field", "max_tokens must be at least 1")
        priority = _number(fields, "priority")
        if priority is not None and priority not in range(MOST_PRIORITY + 1):
            raise BadQuery("bad_field", f"priority must be a whole number from 0 to {MOST_PRIORITY}")
        return cls(
            id=_name(fields, "id") or uuid.uuid4().hex,
            question=question.strip(),
            image=image,
            image_path=path,
            deadline_ms=deadline_ms,
            pin=cast(Literal["local", "cloud"] | None, pin),
            max_tokens=None if max_tokens is None else int(max_tokens),
            priority=USUAL_PRIORITY if priority is None else int(priority),
            client=_topic_level(_name(fields, "client") or ANYONE),
            response_topic=response_topic(_name(fields, "response_topic")),
            correlation=_name(fields, "correlation"),
        )

    def to_bytes(self) -> bytes:
        """The JSON form, with the image as base64."""
        fields: dict[str, Any] = {"id": self.id, "question": self.question, "client": self.client}
        if self.image is not None:
            fields["image"] = base64.b64encode(self.image).decode()
        if self.image_path is not None:
            fields["image_url"] = self.image_path.as_uri()
        for name in ("deadline_ms", "pin", "max_tokens", "response_topic", "correlation"):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
        if self.priority != USUAL_PRIORITY:
            fields["priority"] = self.priority
        return json.dumps(fields).encode()


def read_payload(
    payload: bytes, user: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], bytes | None]:
    """Tell the two payload forms apart: a JSON object, or a JPEG or PNG with user properties.

    User properties that are no field of a query are ignored, since bridges add their own.

    Raises:
        BadQuery: it is neither.
    """
    if payload.startswith(MAGIC):
        return {name: value for name, value in (user or {}).items() if name in FIELDS}, payload
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadQuery(
            "bad_json", f"the payload is neither a JPEG, a PNG nor JSON ({error}): send one of these"
        ) from None
    if not isinstance(fields, dict):
        raise BadQuery("bad_json", "the payload must be a JSON object with question and image")
    return fields, None


def response_topic(topic: str | None) -> str | None:
    """The topic itself when an answer may be published there.

    Raises:
        BadQuery: it has wildcards, is reserved to the broker, or would feed the answer back as a query.
    """
    if topic is None:
        return None
    levels = topic.split("/")
    if not topic or "#" in topic or "+" in topic or topic.startswith("$") or "\0" in topic:
        raise BadQuery("bad_response_topic", f"cannot publish to {topic!r}: name a topic without wildcards")
    if levels[0] == "inarvl" and "result" not in levels[2:3]:
        raise BadQuery(
            "bad_response_topic",
            f"{topic!r} is one of inarvl's own: use inarvl/<device>/result/..., or another",
        )
    return topic


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "known fields: " + ", ".join(FIELDS)
    return f"unknown field {name[:MAX_LENGTH]!r}: {hint}"


def _decoded(image: object) -> bytes | None:
    if image is None:
        return None
    if not isinstance(image, str):
        raise BadQuery("bad_image", "image must be a string: the base64 of a JPEG or PNG file")
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise BadQuery("bad_image", "image is not base64: encode the JPEG or PNG file itself") from None


def _path(url: object) -> Path | None:
    if url is None:
        return None
    try:
        parts = urlparse(url) if isinstance(url, str) else None
    except ValueError:  # half an IPv6 address
        parts = None
    if parts is None or parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
        raise BadQuery("bad_image", "image_url must be file:///path on this device: else send image")
    return Path(unquote(parts.path))


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if isinstance(value, str):  # user properties are strings
        try:
            value = float(value)
        except ValueError:
            value = object()
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise BadQuery("bad_field", f"{name} must be a number")
    return float(value)


def _name(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not is_name(value):
        raise BadQuery("bad_field", f"{name} must be a string of 1 to {MAX_LENGTH} printable characters")
    return str(value)


def _topic_level(client: str) -> str:
    if not is_topic_level(client):
        raise BadQuery("bad_field", "client names an MQTT topic level: it cannot have / # or +")
    return client
