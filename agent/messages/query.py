"""A query: a question about images. Checks its fields, and writes it as JSON."""

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

from agent.forms.form import AnswerForm, BadForm
from agent.messages.asked_at import seconds_since_1970
from agent.messages.names import MAX_LENGTH, is_name, is_topic_level
from agent.messages.topics import ANONYMOUS
from inarvl.errors import InarvlError
from inarvl.quoting import quoted

FIELDS = (
    "id",
    "question",
    "image",
    "image_url",
    "images",
    "deadline_ms",
    "asked_at",
    "pin",
    "arm",
    "max_tokens",
    "priority",
    "client",
    "response_topic",
    "correlation",
    "answer",
    "choices",
    "schema",
    "dry_run",
)
IMAGE_FIELDS = {"image", "image_url", "images"}
URL_SAFE_BASE64 = bytes.maketrans(b"-_", b"+/")
MAX_QUESTION_LENGTH = 8000
MAX_ARM_LENGTH = 400
TIERS = ("local", "cloud")
MAX_TOPIC_LEVELS, MAX_TOPIC_BYTES = 20, 512  # some brokers close the connection at more
MAX_PRIORITY, DEFAULT_PRIORITY = 9, 4


AUTO = AnswerForm()


class BadQuery(InarvlError):
    """An invalid query; the sender receives the code and the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Query:
    """One question about one or several images; exactly one of `image`, `image_path` and `images` is set.

    Attributes:
        id: chosen by the sender, else generated.
        image: the encoded image, as it came.
        image_path: a file on this device with the image.
        images: several images in their order, each encoded or a file on this device.
        deadline_ms: time from when it was asked in which the answer is useful.
        asked_at: when it was asked, in seconds since 1970; None for when it arrived.
        pin: the only tier that may answer, for privacy (`local`) or quality (`cloud`).
        arm: the only arms that may answer, see `controller.Arm.is_named`; they are of the tier `pin`.
        priority: 0 to 9; if not all queries can be answered in time, lower priorities are refused first.
        client: the sender's name, used in the default reply topic; on the open topic only a claim.
        response_topic, correlation: the MQTT 5 properties, for senders with MQTT 3.1.1.
        form: the form that the answer must have: fields `answer`, `choices` and `schema`.
        dry_run: the reply explains the decision, and no model is asked.
    """

    id: str
    question: str
    image: bytes | None = None
    image_path: Path | None = None
    images: tuple[bytes | Path, ...] = ()
    deadline_ms: float | None = None
    asked_at: float | None = None
    pin: Literal["local", "cloud"] | None = None
    arm: str | None = None
    max_tokens: int | None = None
    priority: int = DEFAULT_PRIORITY
    client: str = ANONYMOUS
    response_topic: str | None = None
    correlation: str | None = None
    form: AnswerForm = AUTO
    dry_run: bool = False

    @property
    def sources(self) -> tuple[bytes | Path, ...]:
        """The images in their order, also if there is only one: each encoded, or a file on this device."""
        only = self.image if self.image_path is None else self.image_path
        return self.images if only is None else (only,)

    @classmethod
    def from_fields(
        cls, fields: Mapping[str, Any], image: bytes | None = None, *, images: tuple[bytes, ...] | None = None
    ) -> Query:
        """Checks the result of `payload.read_payload`.

        Fields whose name starts with `_`, such as `_msgid` of Node-RED, are ignored.

        Args:
            image: the encoded image, if the payload is an image.
            images: the encoded images, if the front door has read them from elsewhere than from `fields`.

        Raises:
            BadQuery: a field is missing or invalid; the message says what to change.
        """
        unknown = [name for name in fields if name not in FIELDS and not name.startswith("_")]
        if unknown:
            raise BadQuery("unknown_field", _unknown(unknown[0]))
        texts = {name: value for name, value in fields.items() if name not in ("image", "images")}
        if not _is_unicode(texts):
            raise BadQuery(
                "bad_field", "a field has half of a surrogate pair (\\ud800 to \\udfff): send Unicode"
            )
        if image is None:
            image = decoded_image(fields.get("image"))
        elif IMAGE_FIELDS & fields.keys():
            raise BadQuery("bad_field", "the payload is an image already: remove image, image_url and images")
        question = fields.get("question")
        if not isinstance(question, str) or not question.strip():
            raise BadQuery("missing_question", "question is missing or empty: add it as a string")
        if len(question) > MAX_QUESTION_LENGTH:
            raise BadQuery(
                "bad_field", f"question has more than {MAX_QUESTION_LENGTH} characters: shorten it"
            )
        path = _path(fields.get("image_url"))
        several = images or _several(fields.get("images"))
        if sum(given is not None for given in (image, path, several)) != 1:
            raise BadQuery(
                "missing_image",
                "the query needs exactly one of image (base64), image_url (file:) and images (a list)",
            )
        arm, pin = _arm(fields.get("arm")), fields.get("pin")
        if pin not in (None, *TIERS):
            raise BadQuery("unknown_pin", f"unknown pin {quoted(pin)}: use local or cloud, or remove pin")
        if arm is not None:
            tier = arm.partition("/")[0]
            if pin not in (None, tier):
                raise BadQuery(
                    "bad_field", f"arm is of the tier {tier}, and pin is {pin}: remove one of them"
                )
            pin = tier
        deadline_ms = _number(fields, "deadline_ms")
        if deadline_ms is not None and deadline_ms <= 0:
            raise BadQuery("deadline_expired", "deadline_ms must be above 0: send the time that remains")
        max_tokens = _number(fields, "max_tokens")
        if max_tokens is not None and max_tokens < 1:
            raise BadQuery("bad_field", "max_tokens must be at least 1")
        priority = _number(fields, "priority")
        if priority is not None and priority not in range(MAX_PRIORITY + 1):
            raise BadQuery("bad_field", f"priority must be a whole number from 0 to {MAX_PRIORITY}")
        return cls(
            id=_name(fields, "id") or uuid.uuid4().hex,
            question=question.strip(),
            image=image,
            image_path=path,
            images=several or (),
            deadline_ms=deadline_ms,
            asked_at=_asked_at(fields),
            pin=cast(Literal["local", "cloud"] | None, pin),
            arm=arm,
            max_tokens=None if max_tokens is None else int(max_tokens),
            priority=DEFAULT_PRIORITY if priority is None else int(priority),
            client=_topic_level(_name(fields, "client") or ANONYMOUS),
            response_topic=response_topic(_name(fields, "response_topic")),
            correlation=_name(fields, "correlation"),
            form=_form(fields),
            dry_run=_flag(fields, "dry_run"),
        )

    def to_bytes(self) -> bytes:
        """Returns the query as JSON, with encoded images in base64."""
        fields: dict[str, Any] = {"id": self.id, "question": self.question, "client": self.client}
        if self.image is not None:
            fields["image"] = base64.b64encode(self.image).decode()
        if self.image_path is not None:
            fields["image_url"] = self.image_path.as_uri()
        if self.images:
            fields["images"] = [
                image.as_uri() if isinstance(image, Path) else base64.b64encode(image).decode()
                for image in self.images
            ]
        for name in ("deadline_ms", "asked_at", "pin", "arm", "max_tokens", "response_topic", "correlation"):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
        if self.priority != DEFAULT_PRIORITY:
            fields["priority"] = self.priority
        if self.dry_run:
            fields["dry_run"] = True
        fields |= self.form.to_fields()
        return json.dumps(fields).encode()


def response_topic(topic: str | None) -> str | None:
    """Returns `topic` if replies may be published to it.

    Raises:
        BadQuery: the topic is long, has many or empty levels or wildcards, is reserved for the broker, or is
            a topic of inarvl that is not for results.
    """
    if topic is None:
        return None
    if len(topic) > MAX_TOPIC_BYTES or len(topic.encode()) > MAX_TOPIC_BYTES:
        raise BadQuery("bad_response_topic", f"the topic has over {MAX_TOPIC_BYTES} bytes: use a shorter one")
    levels = topic.split("/")
    if len(levels) > MAX_TOPIC_LEVELS:
        raise BadQuery("bad_response_topic", f"the topic has over {MAX_TOPIC_LEVELS} levels: use fewer")
    if not topic or "#" in topic or "+" in topic or topic.startswith("$") or not topic.isprintable():
        raise BadQuery(
            "bad_response_topic",
            f"cannot publish to {quoted(topic)}: use printable characters without wildcards or a leading $",
        )
    if "" in levels:
        raise BadQuery(
            "bad_response_topic", f"{quoted(topic)} has an empty level: remove the / that is too many"
        )
    if levels[0] == "inarvl" and "result" not in levels[2:3]:
        raise BadQuery(
            "bad_response_topic",
            f"{quoted(topic)} is reserved: use inarvl/<device>/result/..., or a topic outside inarvl/",
        )
    return topic


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name[:MAX_LENGTH], FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "known fields: " + ", ".join(FIELDS)
    return f"unknown field {quoted(name)}: {hint}"


def _several(images: object) -> tuple[bytes | Path, ...] | None:
    if images is None:
        return None
    if not isinstance(images, list) or not images:
        raise BadQuery("bad_image", "images must be a list of one or more images, each base64 or a file: URL")
    return tuple(_listed(image, f"images[{place}]") for place, image in enumerate(images))


def _listed(image: object, name: str) -> bytes | Path:
    is_url = isinstance(image, str) and image.strip()[:5].lower() == "file:"
    source = _path(image, name) if is_url else decoded_image(image, name)
    if source is None:
        raise BadQuery("bad_image", f"{name} is null: remove it")
    return source


def decoded_image(image: object, name: str = "image") -> bytes | None:
    """Returns the bytes of an image in base64 or in a data URL; None for None.

    Raises:
        BadQuery: it is neither; the message has `name`.
    """
    if image is None:
        return None
    if not isinstance(image, str):
        raise BadQuery("bad_image", f"{name} must be a string: send a JPEG or PNG file in base64")
    image = image.strip()
    if image[:5].lower() == "data:":
        head, comma, image = image.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise BadQuery(
                "bad_image",
                f"{name} is a data URL without base64: write data:image/jpeg;base64,... or base64",
            )
    try:
        encoded = image.encode("ascii").translate(URL_SAFE_BASE64, b" \t\r\n").rstrip(b"=")
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadQuery(
            "bad_image", f"{name} is not valid base64: encode the bytes of a JPEG or PNG file"
        ) from None


def _arm(name: object) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ARM_LENGTH or not name.isprintable():
        raise BadQuery("bad_field", "arm must be the name of an arm, such as local/small or cloud/big@512")
    tier, _, model = name.partition("/")
    if tier not in TIERS or not model:
        raise BadQuery("bad_field", f"unknown arm {quoted(name)}: write local/MODEL or cloud/MODEL")
    return name


def _is_unicode(content: object) -> bool:
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(url: object, name: str = "image_url") -> Path | None:
    if url is None:
        return None
    try:
        parts = urlparse(url.strip()) if isinstance(url, str) and _is_unicode(url) else None
    except ValueError:  # such as an incomplete IPv6 address
        parts = None
    path = "" if parts is None else unquote(parts.path)
    local = parts is not None and parts.scheme == "file" and parts.netloc in ("", "localhost")
    if not local or not path.startswith("/") or "\0" in path:
        raise BadQuery(
            "bad_image", f"{name} must be file:///path on this device: send other images in base64"
        )
    return Path(path)


def _form(fields: Mapping[str, Any]) -> AnswerForm:
    try:
        return AnswerForm.from_fields(fields)
    except BadForm as error:
        raise BadQuery(error.code, str(error)) from None


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
        raise BadQuery("bad_field", f"{name} must be a number below 1e9")
    return float(value)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value in (None, "true", "false") or isinstance(value, bool):  # user properties are strings
        return value in (True, "true")
    raise BadQuery("bad_field", f"{name} must be true or false")


def _asked_at(fields: Mapping[str, Any]) -> float | None:
    value = fields.get("asked_at")
    if value is None:
        return None
    try:
        return seconds_since_1970(value)
    except (ValueError, OverflowError):
        raise BadQuery(
            "bad_field", "asked_at must be seconds since 1970, or a time such as 2026-11-30T08:00:00Z"
        ) from None


def _name(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not is_name(value):
        raise BadQuery("bad_field", f"{name} must be a string of 1 to {MAX_LENGTH} printable characters")
    return str(value)


def _topic_level(client: str) -> str:
    if not is_topic_level(client):
        raise BadQuery("bad_field", "client must be a valid MQTT topic level: remove / # and +")
    return client
