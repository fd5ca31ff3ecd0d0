"""A peer record: what a cloud endpoint says of itself to the devices that may use it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlparse

from inarvl.errors import InarvlError

SERVICE = "_inarvl._tcp.local."
TXT_VERSION = "1"
ROLE = "cloud"
API = "openai/v1"
LONGEST_RECORD = 4096
LONGEST_URL = 512
MOST_MODELS = 16
IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,63}")
MODEL = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,128}")  # printable ASCII but space and comma
LONGEST_TXT = 255  # of one key=value pair, RFC 6763 section 6.1


class BadPeerRecord(InarvlError):
    """A record that breaks its rules; what a remote says is checked before it is used."""

    code = "bad_peer_record"


@dataclass(frozen=True)
class PeerRecord:
    """One endpoint.

    Attributes:
        id: names it among peers; letters, digits, dot, dash and underscore.
        url: http(s)://host:port, to which the API's paths are added.
        models: the names it serves; advice only, the endpoint itself is asked before use.
        version: of the software that announces it.
    """

    id: str
    url: str
    models: tuple[str, ...] = ()
    api: str = API
    version: str = ""

    def __post_init__(self) -> None:
        if not IDENTIFIER.fullmatch(self.id):
            raise BadPeerRecord(f"peer id {self.id[:80]!r}: use up to 63 letters, digits, dots, dashes, _")
        if not _usable(self.url):
            raise BadPeerRecord(f"peer {self.id}: the url must be http://host:port or https://host:port")
        if len(self.models) > MOST_MODELS or not all(MODEL.fullmatch(model) for model in self.models):
            raise BadPeerRecord(f"peer {self.id}: name up to {MOST_MODELS} models, without spaces or commas")
        if self.api != API:
            raise BadPeerRecord(f"peer {self.id} speaks {self.api[:40]!r}: only {API} is understood")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("https:")

    def to_bytes(self) -> bytes:
        """The JSON that is retained under inarvl/peers/<id>."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> PeerRecord:
        """Read such JSON, ignoring keys it does not know.

        Raises:
            BadPeerRecord: it breaks the rules above.
        """
        try:
            body = json.loads(payload[: LONGEST_RECORD + 1])
            models = body.get("models", [])
            if not isinstance(models, list):
                raise TypeError("its models are no list")
            return cls(
                id=_string(body["id"]),
                url=_remote(_string(body["url"])),
                models=tuple(_string(model) for model in models),
                api=_string(body.get("api", API)),
                version=_string(body.get("version", ""))[:40],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadPeerRecord(f"no peer record: {error!r}") from None

    def to_txt(self) -> dict[str, str]:
        """The TXT properties beside a service's address and port; models that do not fit are left out."""
        models = ""
        for model in self.models:
            longer = f"{models},{model}" if models else model
            if len(f"models={longer}") > LONGEST_TXT:
                break
            models = longer
        return {
            "txtvers": TXT_VERSION,
            "ver": self.version,
            "role": ROLE,
            "id": self.id,
            "api": self.api,
            "tls": "1" if self.tls else "0",
            "models": models,
        }

    @classmethod
    def from_txt(cls, txt: Mapping[str, str], host: str, port: int) -> PeerRecord:
        """The record of a service found at `host` and `port`.

        Raises:
            BadPeerRecord: it breaks the rules above, or is of another kind.
        """
        if txt.get("txtvers") != TXT_VERSION or txt.get("role") != ROLE:
            raise BadPeerRecord("its txtvers or role is none of ours")
        scheme = "https" if txt.get("tls") == "1" else "http"
        where = f"[{host}]" if ":" in host else host
        return cls(
            id=txt.get("id", ""),
            url=f"{scheme}://{where}:{port}",
            models=tuple(model for model in txt.get("models", "").split(",") if model),
            api=txt.get("api", ""),
            version=txt.get("ver", "")[:40],
        )


def _usable(url: str) -> bool:
    try:
        parts = urlparse(url)
        _ = parts.port  # parsed only when asked for
    except ValueError:
        return False
    if parts.scheme == "unix":
        return True
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(url) <= LONGEST_URL


def _remote(url: str) -> str:
    if url.startswith("unix:"):
        raise ValueError("a remote peer cannot be behind a unix socket")
    return url


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return value
