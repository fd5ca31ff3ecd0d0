"""Where the pictures of a camera come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from agent.config.secret import SecretFile
from agent.config.yaml_file import SECRET, Section
from agent.messages.query import MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS
from inarvl.server_url import url_problem

Kind = Literal["mqtt", "http", "rtsp", "file"]
SCHEMES: dict[str, Kind] = {
    "mqtt:": "mqtt",
    "http://": "http",
    "https://": "http",
    "rtsp://": "rtsp",
    "file:": "file",
}
FORM = "must be mqtt:TOPIC, http(s)://host/path, rtsp://host/path or file:/folder"
MAX_URL = 1024
LEAST_POLL_S = {"http": 0.1, "rtsp": 1.0, "file": 0.1}
USUAL_POLL_S = {"mqtt": 0.0, "http": 1.0, "rtsp": 10.0, "file": 1.0}


def filter_problem(topic: str) -> str | None:
    """Returns what is wrong with a topic to receive from; it may have `+` as a level.

    `#` is refused: it brings messages that nobody wants to be pictures.
    """
    levels = topic.split("/")
    if not topic or topic.startswith("$") or not topic.isprintable() or len(topic.encode()) > MAX_TOPIC_BYTES:
        return f"the topic must have 1 to {MAX_TOPIC_BYTES} printable bytes and no leading $"
    if len(levels) > MAX_TOPIC_LEVELS:
        return f"the topic has over {MAX_TOPIC_LEVELS} levels: use fewer"
    if "#" in topic or any("+" in level and level != "+" for level in levels):
        return "the topic may have + as a whole level, and no #: write frigate/+/person/snapshot"
    return None


def _as_topic_filter(topic: str) -> str:
    if (problem := filter_problem(topic)) is not None:
        raise ValueError(problem)
    return topic


TopicFilter = Annotated[str, AfterValidator(_as_topic_filter)]


class CameraSource(Section):
    """The source of a camera; in YAML also its URL alone.

    Attributes:
        url: `mqtt:TOPIC`, the URL of a picture or of a stream, or `file:` and a folder.
        username: of an http or rtsp camera.
        password_file: file of the secret.
        auth: how to send the password; `digest` never sends it itself.
        ca_file: signs the certificate of an https server; None for the system's CAs.
        poll_s: least time between two pictures that the agent fetches; None for the usual one of its kind.
        timeout_s: for one picture.
    """

    url: str = Field(max_length=MAX_URL)
    username: str | None = None
    password_file: SecretFile | None = None
    auth: Literal["digest", "basic"] = "digest"
    ca_file: Path | None = None
    poll_s: float | None = Field(None, le=86_400)
    timeout_s: float = Field(10.0, ge=0.1, le=120)

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_possible(self) -> CameraSource:
        kind = next((kind for scheme, kind in SCHEMES.items() if self.url.startswith(scheme)), None)
        if kind is None:
            raise ValueError(FORM)
        problem = {"mqtt": self._topic_problem, "file": self._folder_problem}.get(kind, self._url_problem)()
        if problem is not None:
            raise ValueError(problem)
        self._check_options(kind)
        return self

    @property
    def kind(self) -> Kind:
        """The protocol."""
        return next(kind for scheme, kind in SCHEMES.items() if self.url.startswith(scheme))

    @property
    def topic(self) -> str:
        """The topic of an `mqtt:` source."""
        return self.url.removeprefix("mqtt:")

    @property
    def folder(self) -> Path:
        """The folder of a `file:` source."""
        return _folder(self.url)

    @property
    def host(self) -> str:
        """The host of an http or rtsp source, in lower case."""
        return urlsplit(self.url).hostname or ""

    @property
    def pause_s(self) -> float:
        """Least time between two pictures, in seconds."""
        return USUAL_POLL_S[self.kind] if self.poll_s is None else self.poll_s

    def _topic_problem(self) -> str | None:
        return filter_problem(self.topic)

    def _folder_problem(self) -> str | None:
        form = "must be file:/folder, the absolute path of a folder on this device"
        parts = urlsplit(self.url)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or "\0" in self.url:
            return form
        return None if self.folder.is_absolute() and ".." not in self.folder.parts else form

    def _url_problem(self) -> str | None:
        schemes = ("rtsp",) if self.url.startswith("rtsp:") else ("http", "https")
        address, _, query = self.url.partition("?")
        problem = url_problem(address, schemes, "use username and password_file")
        if problem is None and ("#" in query or not query.isprintable() or " " in query):
            problem = "its query must have no blanks, control characters or #"
        if problem is None and any(SECRET.search(key) for key, _ in parse_qsl(query, keep_blank_values=True)):
            problem = "its query has a password or key: use username and password_file"
        return problem

    def _check_options(self, kind: Kind) -> None:
        remote = kind in ("http", "rtsp")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together: write both or neither")
        if self.username is not None and not remote:
            raise ValueError(f"username and password_file are for http and rtsp, not for {kind}: remove them")
        if self.username is not None and (not self.username or ":" in self.username):
            raise ValueError("username must have at least one character, and no colon")
        if self.ca_file is not None and not self.url.startswith("https:"):
            raise ValueError("ca_file is for https: remove it")
        if self.poll_s is not None and kind == "mqtt":
            raise ValueError("poll_s is not for mqtt, where pictures come by themselves: remove it")
        if self.poll_s is not None and self.poll_s < LEAST_POLL_S[kind]:
            raise ValueError(f"poll_s must be at least {LEAST_POLL_S[kind]:g} for {kind}")


def _folder(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
