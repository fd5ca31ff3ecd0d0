"""The parts of the site file about model servers: its own ones, and which discovered ones are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from agent.config.secret import SecretFile, secret_file_path
from agent.config.spend_settings import PriceSettings
from agent.config.yaml_file import Section
from cloud.peer import BadPeerRecord, PeerRecord
from inarvl.server_url import stays_on_this_machine, url_problem
from vlm.client_tls import ClientTls, read_fingerprint
from vlm.completion import MAX_ID_LENGTH

MAX_PROMPT_LENGTH = 4000
MAX_FINGERPRINTS = 256
WORDS = ("none", "any")

ModelName = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
Prompt = Annotated[str, Field(max_length=MAX_PROMPT_LENGTH)]
Fingerprint = Annotated[str, AfterValidator(read_fingerprint)]


class Server(Section):
    """An OpenAI-compatible model server that is configured here, not discovered.

    Attributes:
        id: name of the server in telemetry and decision records.
        url: as the provider gives it, with the base path of its API.
        api_key_file: file of the key that is sent to this URL, and only there.
        ca_file: certificates of the CAs that may have signed its own; default: those of the system.
        fingerprint: SHA-256 of its certificate.
        cert_file: the device's certificate, if the server requires one.
        key_file: file of the key of that certificate.
        allow_plaintext: whether images and the key may go to another machine without encryption.
        models: the models to ask; empty for all that the server lists.
        prompt: system text of the calls to this server; None for that of the site.
        prices: what its models cost, by their names; `*` for all others.
    """

    id: str
    url: str
    api_key_file: SecretFile | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: SecretFile | None = None
    fingerprint: Fingerprint | None = None
    allow_plaintext: bool = False
    models: tuple[str, ...] = ()
    prompt: Prompt | None = None
    prices: dict[ModelName, PriceSettings] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        problem = url_problem(url, ("http", "https"), "use api_key_file")
        if problem is not None:
            raise ValueError(problem)
        return url

    @model_validator(mode="after")
    def _is_valid_record(self) -> Server:
        try:
            self.record()
        except BadPeerRecord as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _is_encrypted(self) -> Server:
        if self.url.startswith("https:"):
            if self.key_file is not None and self.cert_file is None:
                raise ValueError("key_file needs its certificate: set cert_file too")
            return self
        if any((self.ca_file, self.cert_file, self.key_file, self.fingerprint)):
            raise ValueError(f"{self.url} does not use TLS, for which its files are: write https://")
        problem = plaintext_problem(self.url, "allow_plaintext", allowed=self.allow_plaintext)
        if problem is not None:
            raise ValueError(problem)
        return self

    def record(self) -> PeerRecord:
        """Returns the record under which the registry knows this server."""
        return PeerRecord(self.id, self.url, self.models)

    def tls(self) -> ClientTls | None:
        """Returns the TLS settings of connections to it; None if it does not use TLS."""
        if not self.url.startswith("https:"):
            return None
        return ClientTls(self.ca_file, self.cert_file, secret_file_path(self.key_file), self.fingerprint)


class DiscoveryTrust(Section):
    """By what a discovered peer is trusted: in the site file none, any, or a mapping of the other keys.

    Attributes:
        mode: none: only by `inarvl peer trust`; any: without proof; proof: by the keys below too.
        ca_file: certificates of the CAs that sign those of peers.
        fingerprints: certificates of peers, by their SHA-256.
        cert_file: the device's certificate, for peers that require one.
        key_file: file of the key of that certificate.
        allow_plaintext: whether `inarvl peer trust` may trust a peer that does not use TLS.
    """

    mode: Literal["none", "any", "proof"] = "none"
    ca_file: Path | None = None
    fingerprints: tuple[Fingerprint, ...] = Field((), max_length=MAX_FINGERPRINTS)
    cert_file: Path | None = None
    key_file: SecretFile | None = None
    allow_plaintext: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_word_or_mapping(cls, value: Any) -> Any:
        if isinstance(value, DiscoveryTrust):
            return value
        if isinstance(value, str) and value in WORDS:
            return {"mode": value}
        if not isinstance(value, dict) or not value or "mode" in value:
            raise ValueError("must be none, any, or a mapping with ca_file or fingerprints")
        return {**value, "mode": "proof"}

    @model_validator(mode="after")
    def _has_certificate_of_key(self) -> DiscoveryTrust:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs its certificate: set cert_file too")
        return self

    def tls(self) -> ClientTls:
        """Returns the TLS settings of connections to peers that a CA vouches for."""
        return ClientTls(self.ca_file, self.cert_file, secret_file_path(self.key_file))


class Discovery(Section):
    """How peers are discovered, and which of them are trusted.

    Attributes:
        zeroconf: whether peers are found that are announced on the local network.
        mqtt: whether peers are found that are announced on the broker.
        trust: `none`: only those that `inarvl peer trust` has pinned; `any`: all, without proof; or a section
            that names the certificates by which they are trusted.
    """

    zeroconf: bool = True
    mqtt: bool = True
    trust: DiscoveryTrust = DiscoveryTrust.model_validate("none")


def plaintext_problem(url: str, key: str, *, allowed: bool) -> str | None:
    """Returns why a URL is refused that would send images to another machine without encryption.

    Args:
        key: the key of the site file that allows it.
    """
    if allowed or url.startswith("https:") or stays_on_this_machine(url):
        return None
    return (
        f"{url} would send images, questions and the API key unencrypted to another machine: write https://, "
        f"or {key}: true if the network between them is yours alone"
    )
