"""The peer record: how a cloud endpoint describes itself to devices, in JSON (MQTT) or TXT (zeroconf)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from inarvl.announced_url import API_PATH, SITE_FILE_HINT, announced_url, announced_url_problem
from inarvl.errors import InarvlError
from inarvl.price import MODEL, BadPrice, Prices
from inarvl.server_url import socket_problem, url_problem
from vlm.remote_values import parse_json

SERVICE = "_inarvl._tcp.local."
TOPIC = "inarvl/peers"  # each record is retained below it, under its id
TXT_VERSION = "1"
ROLE = "cloud"
API = "openai/v1"
MAX_RECORD_BYTES = 8192
MAX_MODELS = 16
IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,63}")
MAX_TXT_BYTES = 255  # of one key=value pair, RFC 6763 section 6.1


class BadPeerRecord(InarvlError):
    """A record is invalid. Records come from remote hosts, so every field is validated."""

    code = "bad_peer_record"


@dataclass(frozen=True)
class PeerRecord:
    """Describes one endpoint; the constructor validates.

    Attributes:
        id: identifies it among peers; letters, digits, dot, dash and underscore.
        url: http(s)://host:port; from the site file also with the base path of the API, if it is another one
            than /v1, and unix:/path.
        models: names of its models; a hint only, devices ask the endpoint itself.
        api: must be openai/v1.
        version: version of the announcing software.
        prices: what the endpoint says that its models cost; None if it announces no prices.

    Raises:
        BadPeerRecord: a value is invalid.
    """

    id: str
    url: str
    models: tuple[str, ...] = ()
    api: str = API
    version: str = ""
    prices: Prices | None = None

    def __post_init__(self) -> None:
        if not IDENTIFIER.fullmatch(self.id):
            raise BadPeerRecord(
                f"invalid peer id {self.id[:80]!r}: use up to 63 letters, digits, dots, dashes, _"
            )
        unix = self.url.startswith("unix:")
        problem = socket_problem(self.url) if unix else url_problem(self.url, ("http", "https"))
        if problem is not None:
            raise BadPeerRecord(
                f"peer {self.id}: its URL {problem}: write http://host:port, with a path if needed"
            )
        names = self.models
        if len({*names}) < len(names) or len(names) > MAX_MODELS or not all(map(MODEL.fullmatch, names)):
            raise BadPeerRecord(
                f"peer {self.id}: it can have up to {MAX_MODELS} different models, whose names have 1 to 128 "
                "printable ASCII characters, no blanks or commas"
            )
        if self.api != API:
            raise BadPeerRecord(f"peer {self.id} has the API {self.api[:40]!r}: only {API} is supported")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("https:")

    def announced(self) -> PeerRecord:
        """Returns the record as devices accept it in an announcement, with its port and without /v1.

        Raises:
            BadPeerRecord: devices do not accept it.
        """
        parts = urlsplit(self.url.rstrip("/"))
        has_port = parts.netloc.rpartition("]")[2].count(":") > 0
        port = "" if has_port else f":{443 if self.tls else 80}"
        url = f"{parts.scheme}://{parts.netloc.lower()}{port}{parts.path}"
        return replace(self, url=_announced(self.id, url))

    def to_bytes(self) -> bytes:
        """Returns the JSON of the retained message on inarvl/peers/<id>."""
        body = asdict(self)
        body["prices"] = None if self.prices is None else self.prices.to_json()
        return json.dumps({name: value for name, value in body.items() if value is not None}).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> PeerRecord:
        """Reads that JSON; ignores unknown keys.

        Raises:
            BadPeerRecord: the record is invalid, or its URL is none that may be announced, see
                `inarvl.announced_url`.
        """
        if len(payload) > MAX_RECORD_BYTES:
            raise BadPeerRecord(f"a peer record has at most {MAX_RECORD_BYTES} bytes, not {len(payload)}")
        body = parse_json(payload)
        if not isinstance(body, dict):
            raise BadPeerRecord("a peer record is a JSON object")
        models = body.get("models", [])
        if not isinstance(models, list):
            raise BadPeerRecord("models must be a list")
        name = _string(body, "id")
        claimed = body.get("prices")
        return cls(
            id=name,
            url=_announced(name, _string(body, "url")),
            models=tuple(model if isinstance(model, str) else "" for model in models),
            api=_string(body, "api", API),
            version=_string(body, "version", "")[:40],
            prices=None if claimed is None else _prices(name, Prices.from_json, claimed),
        )

    def to_txt(self) -> dict[str, str]:
        """Returns the TXT properties without address and port, and without models and prices that do not fit.

        `host` is the name of the host, if the URL has one.

        Raises:
            BadPeerRecord: it is too long.
        """
        models = ""
        for model in self.models:
            longer = f"{models},{model}" if models else model
            if len(f"models={longer}") > MAX_TXT_BYTES:
                break
            models = longer
        host = urlsplit(self.url).hostname or ""
        if len(f"host={host}".encode()) > MAX_TXT_BYTES:
            raise BadPeerRecord(f"the host of {self.url} is too long for zeroconf: use a shorter one")
        prices = "" if self.prices is None else self.prices.to_text(MAX_TXT_BYTES - len("prices="))
        return {
            "txtvers": TXT_VERSION,
            "ver": self.version,
            "role": ROLE,
            "id": self.id,
            "api": self.api,
            "tls": "1" if self.tls else "0",
            "models": models,
            **({"prices": prices} if prices else {}),
            **({} if _is_address(host) else {"host": host}),
        }

    @classmethod
    def from_txt(cls, txt: Mapping[str, str], host: str, port: int) -> PeerRecord:
        """Reads the record of a service that zeroconf found at `host`, an address or a name, and `port`.

        Raises:
            BadPeerRecord: the record is invalid, of another version or role, or has a path.
        """
        if txt.get("txtvers") != TXT_VERSION or txt.get("role") != ROLE:
            raise BadPeerRecord(f"its txtvers must be {TXT_VERSION} and its role {ROLE}")
        name = txt.get("id", "")
        if txt.get("path", "") not in ("", API_PATH):
            raise BadPeerRecord(f"peer {name[:63]}: its URL must not have a path: {SITE_FILE_HINT}")
        scheme = "https" if txt.get("tls") == "1" else "http"
        netloc = f"[{host}]" if ":" in host else host
        return cls(
            id=name,
            url=_announced(name, f"{scheme}://{netloc}:{port}"),
            models=tuple(model for model in txt.get("models", "").split(",") if model),
            api=txt.get("api", ""),
            version=txt.get("ver", "")[:40],
            prices=_prices(name, Prices.from_text, claimed) if (claimed := txt.get("prices")) else None,
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _announced(name: str, url: str) -> str:
    problem = announced_url_problem(url, loopback=True)  # the agent decides whether loopback is allowed
    if problem is not None:
        raise BadPeerRecord(f"peer {name[:63]!r}: its URL {url[:80]!r} {problem}")
    return announced_url(url)


def _prices(name: str, read: Callable[[Any], Prices], claimed: object) -> Prices:
    try:
        return read(claimed)
    except BadPrice as error:
        raise BadPeerRecord(f"the prices of peer {name[:63]!r}: {error}") from None


def _string(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadPeerRecord(f"{name} must be a string")
    return value
